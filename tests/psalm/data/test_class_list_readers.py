"""COCO, LVIS, ADE20K, Cityscapes and Pascal, from folders laid out as published."""

from __future__ import annotations

import json

import numpy as np
import pytest

from psalm.conditions import Task
from psalm.data.ade20k import Ade20k
from psalm.data.cityscapes import CLASSES, Cityscapes
from psalm.data.class_lists import MAX_OBJECTS
from psalm.data.coco_folder import CocoInstances, CocoPanoptic, CocoSemantic, read_panoptic_png
from psalm.data.lvis import Lvis
from psalm.data.objects import Objects
from psalm.data.pascal import VOC_CLASSES, PascalContext, PascalVoc
from psalm.errors import AnnotationError
from tests.psalm.data.published_layouts import (
    CAT,
    DOG,
    HERD,
    SIZE,
    SKY,
    box,
    make_ade20k,
    make_cityscapes,
    make_coco,
    make_context,
    make_lvis,
    make_voc,
)

RNG = np.random.default_rng(0)


def answers(sample):
    """The masks of a sample by name, in the order of the sample's own list."""
    return {sample.condition.names[label]: mask for label, mask in zip(sample.labels, sample.masks, strict=True)}


def test_coco_instances(tmp_path):
    reader = CocoInstances(make_coco(tmp_path), "val")
    assert len(reader) == 3 and reader.names == ("cat", "dog") and reader.sources == ["coco-instances"] * 3
    sample = reader.sample(0, RNG)
    assert sample.task is Task.INSTANCE and sample.exhaustive and sample.image.shape == (*SIZE, 3)
    assert sample.image[0, 0, 0] == 1 and set(sample.condition.names) == {"cat", "dog"}
    found = answers(sample)
    assert (found["cat"] == CAT).all() and (found["dog"] == DOG).all()
    crowded = reader.sample(1, RNG)
    # the crowd is no object, and where it is asked for, more dogs may be in the image than are labelled
    assert len(crowded.masks) == 1 and not crowded.exhaustive
    assert len(reader.sample(2, RNG).masks) == 0
    assert reader.areas(0) == [400, 600]


def test_training_leaves_out_images_without_objects(tmp_path):
    assert len(CocoInstances(make_coco(tmp_path, "train"), "train")) == 2


def test_coco_panoptic(tmp_path):
    reader = CocoPanoptic(make_coco(tmp_path), "val")
    assert reader.names == ("cat", "dog", "sky-other-merged") and reader.is_thing.tolist() == [True, True, False]
    found = reader.objects(0)
    assert [found.labels.tolist(), found.is_crowd.tolist()] == [[0, 1, 2, 1], [False, False, False, True]]
    for mask, truth in zip(found.masks, (CAT, DOG, SKY, HERD), strict=True):
        assert (mask == truth).all()
    sample = reader.sample(0, RNG)
    assert sample.task is Task.PANOPTIC and len(sample.masks) == 3 and not sample.exhaustive
    assert (answers(sample)["sky-other-merged"] == SKY).all()
    things = reader.sample(0, RNG, Task.INSTANCE)
    assert set(things.condition.names) == {"cat", "dog"} and len(things.masks) == 2
    with pytest.raises(AnnotationError, match="cannot answer the task referring"):
        reader.sample(0, RNG, Task.REFERRING)


def test_panoptic_numbers_use_all_three_colours(tmp_path):
    make_coco(tmp_path)
    numbers = read_panoptic_png(tmp_path / "panoptic_val2017/000000000001.png")
    assert set(np.unique(numbers)) == {0, 5, 9, 300, 70000}


def test_coco_semantic_has_one_mask_per_class(tmp_path):
    sample = CocoSemantic(make_coco(tmp_path), "val").sample(0, RNG)
    assert sample.task is Task.SEMANTIC and sorted(sample.labels.tolist()) == sorted(set(sample.labels.tolist()))


def test_the_order_of_names_is_drawn_and_the_answers_follow(tmp_path):
    reader = CocoPanoptic(make_coco(tmp_path), "val")
    orders = set()
    for seed in range(20):
        sample = reader.sample(0, np.random.default_rng(seed))
        orders.add(sample.condition.names)
        assert (answers(sample)["cat"] == CAT).all()
        assert sample.condition.is_thing == tuple(name != "sky-other-merged" for name in sample.condition.names)
    assert len(orders) > 2
    first, again = (reader.sample(0, np.random.default_rng(3)) for _ in range(2))
    assert first.condition == again.condition and first.key == again.key


def test_a_list_of_few_names_holds_those_of_the_image(tmp_path):
    reader = CocoPanoptic(make_coco(tmp_path), "val", names_per_question=1)
    assert set(reader.sample(0, RNG).condition.names) == {"cat", "dog", "sky-other-merged"}
    assert len(CocoInstances(tmp_path, "val", names_per_question=1).sample(2, RNG).condition.names) == 1


def test_many_objects_are_thinned(tmp_path, monkeypatch):
    reader = CocoInstances(make_coco(tmp_path), "val")
    dots = np.zeros((MAX_OBJECTS + 5, *SIZE), bool)
    dots[np.arange(len(dots)), np.arange(len(dots)) // 80, np.arange(len(dots)) % 80] = True
    monkeypatch.setattr(reader, "objects", lambda index: Objects.of(dots, [0] * len(dots)))
    sample = reader.sample(0, RNG)
    assert len(sample.masks) == MAX_OBJECTS and not sample.exhaustive


def test_lvis_asks_only_what_was_looked_for(tmp_path):
    reader = Lvis(make_lvis(tmp_path), "val")
    assert reader.names == ("cat, house cat", "dog", "mug", "kayak") and reader.frequencies == ("f", "c", "r", "r")
    for seed in range(5):
        sample = reader.sample(0, np.random.default_rng(seed))
        assert set(sample.condition.names) == {"cat, house cat", "mug"} and sample.exhaustive
    second = reader.sample(1, RNG)
    assert set(second.condition.names) == {"dog", "mug"} and not second.exhaustive
    assert reader.absent(0) == {2} and reader.incomplete(1) == {1} and second.image[0, 0, 0] == 2


def test_lvis_finds_the_photographs_of_coco_beside_it(tmp_path):
    make_lvis(tmp_path / "lvis")
    (tmp_path / "coco").mkdir()
    (tmp_path / "lvis/val2017").rename(tmp_path / "coco/val2017")
    assert Lvis(tmp_path / "lvis", "val").image(0)[0, 0, 0] == 1


def test_ade20k(tmp_path):
    reader = Ade20k(make_ade20k(tmp_path), "val")
    assert reader.names == ("wall", "building, edifice") and reader.is_thing.tolist() == [False, True]
    found = answers(reader.sample(0, RNG))
    assert (found["wall"] == SKY).all() and (found["building, edifice"] == DOG).all()


def test_cityscapes(tmp_path):
    reader = Cityscapes(make_cityscapes(tmp_path), "val")
    assert len(reader.names) == len(CLASSES) == 19 and int(reader.is_thing.sum()) == 8
    found = reader.objects(0)
    names = [reader.names[label] for label in found.labels]
    assert names == ["road", "car", "car", "car"] and found.is_crowd.tolist() == [False, True, False, False]
    assert (found.masks[2] == CAT).all()
    semantic = reader.sample(0, RNG, Task.SEMANTIC)
    assert (answers(semantic)["car"] == CAT | DOG | HERD).all() and semantic.exhaustive
    assert not reader.sample(0, RNG, Task.INSTANCE).exhaustive


def test_pascal_voc(tmp_path):
    reader = PascalVoc(make_voc(tmp_path), "val")
    assert len(reader.names) == len(VOC_CLASSES) == 20
    border = box(8, 8, 10, 32)
    found = answers(reader.sample(0, RNG, Task.INSTANCE))
    assert (found["cat"] == CAT & ~border).all() and (found["dog"] == DOG).all()


@pytest.mark.parametrize(("classes", "names"), [(59, ("cat", "diningtable")), (459, ("accordion", "cat", "table"))])
def test_pascal_context(tmp_path, classes, names):
    reader = PascalContext(make_context(tmp_path), "val", classes)
    assert reader.names == names and len(reader) == 1
    found = answers(reader.sample(0, RNG))
    assert (found["cat"] == CAT).all() and (found[names[-1]] == DOG).all() and len(found) == len(names)


@pytest.mark.parametrize(
    ("make", "kind", "lost", "told"),
    [
        (make_coco, CocoInstances, "annotations/instances_val2017.json", "the COCO website"),
        (make_coco, CocoPanoptic, "panoptic_val2017/000000000001.png", "panoptic map"),
        (make_lvis, Lvis, "lvis_v1_val.json", "the LVIS website"),
        (make_ade20k, Ade20k, "objectInfo150.txt", "MIT scene parsing benchmark"),
        (
            make_cityscapes,
            Cityscapes,
            "gtFine/val/bonn/bonn_000000_000019_gtFine_instanceIds.png",
            "Cityscapes website",
        ),
        (make_voc, PascalVoc, "ImageSets/Segmentation/val.txt", "PASCAL VOC website"),
        (make_context, PascalContext, "labels.txt", "PASCAL-Context website"),
    ],
)
def test_what_is_missing_is_named_with_its_home(tmp_path, make, kind, lost, told):
    make(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(AnnotationError, match=told):
        kind(tmp_path, "val").objects(0)


def test_damaged_files_are_named(tmp_path):
    make_ade20k(tmp_path / "ade")
    (tmp_path / "ade/objectInfo150.txt").write_text("Idx Name\n1 wall\n")
    with pytest.raises(AnnotationError, match="six columns"):
        Ade20k(tmp_path / "ade", "val")
    make_context(tmp_path / "context")
    (tmp_path / "context/59_labels.txt").write_text("8: unicorn\n")
    with pytest.raises(AnnotationError, match="names unicorn"):
        PascalContext(tmp_path / "context", "val")
    (tmp_path / "context/labels.txt").write_text("cat\n")
    with pytest.raises(AnnotationError, match="number: name"):
        PascalContext(tmp_path / "context", "val", 459)
    with pytest.raises(AnnotationError, match="59 or 459"):
        PascalContext(tmp_path / "context", "val", 60)
    make_context(tmp_path / "context")
    (tmp_path / "context/trainval/2008_000002.mat").write_bytes(b"MATLAB")
    with pytest.raises(AnnotationError, match="cannot be read"):
        PascalContext(tmp_path / "context", "val").objects(0)


def test_a_name_may_not_lead_out_of_the_folder(tmp_path):
    make_coco(tmp_path)
    path = tmp_path / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "../secret.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match="must lie inside"):
        CocoInstances(tmp_path, "val").image(0)
