"""Files from elsewhere: all kinds of segmentation are read, contradictions are named."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from psalm.coco import read_coco
from psalm.errors import AnnotationError

VALID = {
    "images": [
        {"id": 5, "file_name": "a.png", "height": 8, "width": 10, "split": "train", "source": "lab", "extra": [1]},
        {"id": 6, "file_name": "b.png", "height": 4, "width": 4, "split": "val", "exhaustive": False},
    ],
    "categories": [{"id": 3, "name": "cell"}, {"id": 90, "name": "sky", "isthing": 0, "supercategory": "air"}],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 3, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]], "iscrowd": 0},
        {"id": 2, "image_id": 5, "category_id": 90, "segmentation": {"size": [8, 10], "counts": [0, 80]}, "iscrowd": 1},
    ],
}


def written(folder: Path, content: object) -> Path:
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    return path


def test_polygons_crowds_and_extras_are_read(tmp_path: Path):
    dataset = read_coco(written(tmp_path, VALID))
    first, second = dataset.images
    assert (first.split, first.source, first.exhaustive, second.exhaustive) == ("train", "lab", True, False)
    assert [(c.id, c.name, c.is_thing, c.supercategory) for c in dataset.categories] == [
        (3, "cell", True, ""),
        (90, "sky", False, "air"),
    ]
    found = dataset.annotations_of(first)
    assert len(found) == 1 and found.names == ("cell",) and found.scores.tolist() == [1.0]
    assert np.argwhere(found.masks[0]).min(axis=0).tolist() == [1, 1] and found.masks[0].sum() == 12
    assert len(dataset.annotations_of(first, crowd=True)) == 2
    assert dataset.by_image[6] == ()
    assert [image.id for image in dataset.in_split("val")] == [6]
    assert len(dataset.in_split(None)) == 2
    with pytest.raises(AnnotationError, match=r"\['train', 'val'\]"):
        dataset.in_split("test")


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ("images", "id", 6, "image id 6 occurs twice"),
        ("images", "file_name", "../a.png", "inside the images' folder"),
        ("images", "height", 8.5, "whole numbers"),
        ("images", "width", 0, "positive"),
        ("categories", "id", 90, "category id 90 occurs twice"),
        ("categories", "id", "3", "whole number"),
        ("annotations", "id", 2, "annotation id 2 occurs twice"),
        ("annotations", "image_id", 77, "names image 77"),
        ("annotations", "category_id", 77, "names category 77"),
        ("annotations", "segmentation", {"size": [10, 8], "counts": [0, 80]}, "Annotation 1 of image 5.*size"),
        ("annotations", "segmentation", [], "Annotation 1 of image 5.*empty"),
    ],
)
def test_contradictions_are_named(tmp_path: Path, where, key, value, message):
    content = copy.deepcopy(VALID)
    content[where][0][key] = value
    with pytest.raises(AnnotationError, match=message):
        read_coco(written(tmp_path, content))


def test_missing_entries_are_named(tmp_path: Path):
    content = copy.deepcopy(VALID)
    del content["annotations"][0]["segmentation"]
    with pytest.raises(AnnotationError, match="has no 'segmentation'"):
        read_coco(written(tmp_path, content))


@pytest.mark.parametrize("content", [[], {"images": []}, {"images": [], "annotations": {}, "categories": []}])
def test_other_json_is_refused(tmp_path: Path, content):
    with pytest.raises(AnnotationError, match="COCO instances file"):
        read_coco(written(tmp_path, content))


def test_missing_and_broken_files_are_named(tmp_path: Path):
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_coco(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(AnnotationError, match="not a JSON file"):
        read_coco(tmp_path / "broken.json")


def test_a_damaged_mask_is_named_when_it_is_decoded(tmp_path: Path):
    content = copy.deepcopy(VALID)
    content["annotations"][1]["segmentation"]["counts"] = [0, 79]
    dataset = read_coco(written(tmp_path, content))
    with pytest.raises(AnnotationError, match=r"Annotation 2 of image 5.*79 pixels"):
        dataset.annotations[1].mask()
