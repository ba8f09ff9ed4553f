"""COCO-Interactive: prompts as the published data set draws them, the file, and the reader."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from psalm.coco.rle import decode_segmentation
from psalm.conditions import Task
from psalm.data.interactive import KINDS, CocoInteractive, write_interactive
from psalm.data.interactive_prompts import draw_prompts
from psalm.errors import AnnotationError
from tests.psalm.data.published_layouts import CAT, DOG, HERD, SIZE, box, make_coco

PARTS = box(5, 5, 25, 25) | box(30, 40, 55, 75) | box(2, 70, 4, 72)  # the last has four pixels


@pytest.mark.parametrize("seed", range(5))
def test_prompts_follow_the_published_rules(seed):
    prompts = draw_prompts(PARTS, np.random.default_rng(seed))
    assert set(prompts) == set(KINDS)
    point = prompts["point"]
    assert point.sum() == 2 and (point & PARTS).sum() == 2  # one per part of more than five pixels
    for part in (box(5, 5, 25, 25), box(30, 40, 55, 75)):
        assert (point & part).sum() == 1
        row, column = np.argwhere(point & part)[0]
        rows, columns = np.nonzero(part)
        reach = min(np.ptp(rows) + 1, np.ptp(columns) + 1) / 2
        assert np.hypot(row - rows.mean(), column - columns.mean()) <= reach + 1
    numbered, count = ndimage.label(prompts["box"])
    assert count == 2
    for (rows, columns), side in zip(ndimage.find_objects(numbered), (20, 25), strict=True):
        assert 0.9 * side - 2 <= rows.stop - rows.start <= 1.1 * side + 1
        assert prompts["box"][rows, columns].all()
    rough = prompts["mask"]
    assert 0.6 < (rough & PARTS).sum() / (rough | PARTS).sum() < 1
    scribble = prompts["scribble"]
    assert 20 < scribble.sum() <= 120


def test_a_scribble_bends_by_ten_to_twenty_rows():
    mask = np.zeros((300, 300), bool)
    mask[100:200, 100:200] = True
    heights = []
    for seed in range(30):
        rows, columns = np.nonzero(draw_prompts(mask, np.random.default_rng(seed))["scribble"])
        assert columns.min() >= 88 and columns.max() <= 212
        line = np.polyval(np.polyfit(columns, rows, 1), columns)
        heights.append(np.abs(rows - line).max())
    assert max(heights) <= 41 and np.mean(heights) > 2


@pytest.mark.parametrize("mask", [PARTS, DOG, box(0, 0, 3, 80), box(50, 70, 60, 80), np.zeros(SIZE, bool)])
def test_the_rough_mask_is_the_whole_image_blurred(mask):
    blurred = ndimage.gaussian_filter(mask.astype(float), sigma=2)
    away = np.abs(blurred - blurred.mean()) > 1e-9
    rough = draw_prompts(mask, np.random.default_rng(0))["mask"]
    assert (rough == (blurred > blurred.mean()))[away].all() and rough.any() == mask.any()


def test_tiny_and_odd_objects_have_some_prompts_only():
    prompts = draw_prompts(box(3, 3, 5, 5), np.random.default_rng(0))
    assert [bool(prompts[kind].any()) for kind in ("point", "scribble", "box", "mask")] == [False, False, False, True]


def test_a_file_is_the_same_for_the_same_seed_and_for_a_part_of_it(tmp_path):
    source = make_coco(tmp_path) / "annotations/instances_val2017.json"
    files = [tmp_path / name for name in ("a.json", "b.json", "c.json", "part.json")]
    seen = []
    assert write_interactive(source, files[0], progress=lambda *p: seen.append(p)) == 4 and seen[-1] == (3, 3)
    write_interactive(source, files[1])
    write_interactive(source, files[2], seed=1)
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    content = json.loads(source.read_text())
    content["images"] = content["images"][1:]
    content["annotations"] = content["annotations"][2:]
    source.write_text(json.dumps(content))
    write_interactive(source, files[3])
    whole, part = json.loads(files[0].read_text()), json.loads(files[3].read_text())
    assert part[0]["anns"] == whole[1]["anns"]


def test_the_file_has_the_published_fields(tmp_path):
    make_coco(tmp_path)
    write_interactive(tmp_path / "annotations/instances_val2017.json", tmp_path / "out.json")
    records = json.loads((tmp_path / "out.json").read_text())
    assert [record["new_img_id"] for record in records] == [0, 1]  # the third image has no object
    assert set(records[0]) == {"image", "image_info", "new_img_id", "anns"}
    annotation = records[0]["anns"][0]
    assert annotation["id"] == 1 and annotation["category_id"] == 17 and annotation["bbox"] == [10, 10, 20, 20]
    for kind in KINDS:
        code = annotation[f"{kind}_visual_prompt_mask"]
        assert set(code) == {"counts", "size"} and decode_segmentation(code, SIZE).any()


@pytest.fixture
def reader(tmp_path):
    make_coco(tmp_path)
    write_interactive(tmp_path / "annotations/instances_val2017.json", tmp_path / "coco_interactive_val_psalm.json")
    return CocoInteractive(tmp_path, "val")


def test_reader(reader):
    assert len(reader) == 2 and reader.image(1)[0, 0, 0] == 2
    assert (reader.masks(0) == np.stack([CAT, DOG])).all()
    assert (reader.masks(1)[1] == HERD).all()  # crowds are asked for too, as published
    thin = reader._records[0]["anns"][0]["point_visual_prompt_mask"]
    row, column = np.argwhere(decode_segmentation(thin, SIZE))[0]
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    disc = (rows - row) ** 2 + (columns - column) ** 2 <= 100
    assert (reader.prompts(0, "point")[0] == disc).all()
    scribble = reader.prompts(0, "scribble")[0]
    assert (
        scribble.sum()
        > 5 * decode_segmentation(reader._records[0]["anns"][0]["scribble_visual_prompt_mask"], SIZE).sum()
    )


def test_samples_draw_a_kind_for_each_object(reader):
    kinds = set()
    for seed in range(12):
        sample = reader.sample(0, np.random.default_rng(seed))
        kinds |= set(sample.condition.kinds)
        assert sample.task is Task.INTERACTIVE and sample.labels.tolist() == [0, 1]
        assert (sample.masks == np.stack([CAT, DOG])).all()
    assert kinds == set(KINDS)
    again = [reader.sample(0, np.random.default_rng(3)).condition for _ in range(2)]
    assert (again[0].masks == again[1].masks).all()


def test_few_regions_at_a_time(tmp_path, reader):
    few = CocoInteractive(tmp_path, "val", most_regions=1)
    chosen = {int(few.sample(0, np.random.default_rng(seed)).masks[0, 15, 15]) for seed in range(10)}
    assert chosen == {0, 1} and len(few.sample(0, np.random.default_rng(0)).masks) == 1


def test_wrong_files_are_named(tmp_path, reader):
    with pytest.raises(AnnotationError, match="psalm data interactive"):
        CocoInteractive(tmp_path, "train")
    path = tmp_path / "coco_interactive_val_psalm.json"
    path.write_text(json.dumps([{"image": "a.jpg"}]))
    with pytest.raises(AnnotationError, match="no image, image_info or anns"):
        CocoInteractive(tmp_path, "val")
    path.write_text(json.dumps([{"image": "a.jpg", "image_info": {}, "anns": [{"id": 1}]}]))
    with pytest.raises(AnnotationError, match="has no point_visual_prompt_mask"):
        CocoInteractive(tmp_path, "val")
    path.write_text("[]")
    with pytest.raises(AnnotationError, match="no object with a prompt"):
        CocoInteractive(tmp_path, "val")
