"""Written files are what pycocotools and COCO's rules expect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from psalm.annotations import Annotations, Category
from psalm.coco import CocoWriter, ImageEntry, read_coco, write_coco
from psalm.errors import AnnotationError, OutputError

CELL, SKY = Category(1, "cell"), Category(2, "sky", is_thing=False)


def ring() -> np.ndarray:
    """A square with a hole, and a second part."""
    mask = np.zeros((20, 30), bool)
    mask[2:10, 3:12] = True
    mask[4:7, 5:9] = False
    mask[15:18, 20:29] = True
    return mask


def found(*masks: np.ndarray, categories=(CELL, SKY), ids=None, scores=None) -> Annotations:
    stack = np.stack(masks) if masks else np.zeros((0, 20, 30), bool)
    ids = [1] * len(masks) if ids is None else ids
    scores = [0.5] * len(masks) if scores is None else scores
    return Annotations(stack, ids, scores, categories, tuple(f"prompt {i}" for i in range(len(masks))))


def entry(number: int, name: str = "") -> ImageEntry:
    return ImageEntry(number, name or f"sub/{number}.png", 20, 30)


@pytest.fixture
def content(tmp_path: Path) -> dict:
    overlapping = np.zeros((20, 30), bool)
    overlapping[0:5, 0:5] = True
    entries = [(entry(7), found(ring(), overlapping, ids=[1, 2], scores=[0.25, 1.0])), (entry(9), found())]
    return json.loads(write_coco(tmp_path / "new" / "coco.json", entries).read_text())


def test_records_follow_the_rules(content):
    first, second = content["annotations"]
    assert (first["id"], second["id"]) == (1, 2)
    assert first["area"] == int(ring().sum()) and isinstance(first["area"], int)
    assert first["bbox"] == [3, 2, 26, 16]
    assert first["iscrowd"] == 0 and first["score"] == 0.25 and first["psalm"] == {"prompt": "prompt 0"}
    assert first["segmentation"]["size"] == [20, 30] and isinstance(first["segmentation"]["counts"], str)
    assert [image["id"] for image in content["images"]] == [7, 9]
    assert content["images"][0] == {"id": 7, "file_name": "sub/7.png", "height": 20, "width": 30}
    assert [(c["id"], c["name"], c["isthing"]) for c in content["categories"]] == [(1, "cell", 1), (2, "sky", 0)]
    assert "info" in content and content["licenses"] == []


def test_pycocotools_reads_it_and_finds_it_perfect(tmp_path: Path, content):
    coco = COCO(tmp_path / "new" / "coco.json")
    assert np.array_equal(coco.annToMask(coco.anns[1]).astype(bool), ring())
    run = COCOeval(coco, coco.loadRes([dict(a) for a in content["annotations"]]), "segm")
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert run.stats[0] == pytest.approx(1)


def test_what_is_written_is_read(tmp_path: Path, content):
    dataset = read_coco(tmp_path / "new" / "coco.json")
    assert dataset.categories == (CELL, SKY)
    back = dataset.annotations_of(dataset.images[0])
    assert np.array_equal(back.masks[0], ring()) and back.scores.tolist() == [0.25, 1.0]
    assert back.category_ids.tolist() == [1, 2] and back.prompts == ("prompt 0", "prompt 1")
    assert len(dataset.annotations_of(dataset.images[1])) == 0
    assert dataset.annotations_of(dataset.images[1]).size == (20, 30)


def test_image_extras_come_back(tmp_path: Path):
    image = ImageEntry(1, "a.png", 20, 30, split="val", source="lab", domain="microscopy", exhaustive=False)
    assert read_coco(write_coco(tmp_path / "c.json", [(image, found())])).images == (image,)


def test_categories_of_several_class_lists_are_merged_by_name(tmp_path: Path):
    entries = [
        (entry(1), found(ring(), categories=(Category(1, "coin"),))),
        (entry(2), found(ring(), ring(), categories=(Category(1, "cat"), Category(2, "coin")), ids=[1, 2])),
    ]
    dataset = read_coco(write_coco(tmp_path / "c.json", entries))
    assert [(c.id, c.name) for c in dataset.categories] == [(1, "coin"), (2, "cat")]
    assert [annotation.category_id for annotation in dataset.annotations] == [1, 2, 1]
    clash = [(entry(1), found(categories=(SKY,))), (entry(2), found(categories=(Category(2, "sky"),)))]
    with pytest.raises(AnnotationError, match="thing in one image"):
        write_coco(tmp_path / "d.json", clash)


def test_an_existing_file_is_not_overwritten_by_accident(tmp_path: Path):
    path = tmp_path / "c.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_coco(path, [])
    assert path.read_text() == "mine"
    write_coco(path, [], overwrite=True)
    assert read_coco(path).images == ()


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path):
    path = tmp_path / "c.json"
    path.write_text("mine")
    with pytest.raises(AnnotationError, match="twice"):
        write_coco(path, [(entry(1), found()), (entry(1), found())], overwrite=True)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_may_save_as_it_goes(tmp_path: Path):
    with CocoWriter(tmp_path / "c.json") as writer:
        for number in (1, 2):
            writer.add(entry(number), found(ring()))
            writer.save()
            assert len(read_coco(writer.path).annotations) == number


def test_what_cannot_be_meant_is_refused(tmp_path: Path):
    with pytest.raises(AnnotationError, match="no pixel"):
        write_coco(tmp_path / "a.json", [(entry(1), found(ring() & False))])
    with pytest.raises(AnnotationError, match="size"):
        write_coco(tmp_path / "a.json", [(ImageEntry(1, "a.png", 30, 20), found(ring()))])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_coco(tmp_path / "file" / "a.json", [])
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("name", ["/abs/a.png", "../a.png", "a/../../b.png", "C:\\a.png", "..\\a.png", ""])
def test_paths_stay_in_the_folder(name):
    with pytest.raises(AnnotationError, match="inside the images' folder"):
        ImageEntry(1, name, 2, 2)


def test_backslashes_become_slashes():
    assert ImageEntry(1, "sub\\a.png", 2, 2).file_name == "sub/a.png"
