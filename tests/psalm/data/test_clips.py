"""Clips of a labelled folder come back frame by frame; generated ones follow from their seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from psalm.coco.rle import encode_mask
from psalm.data.clips import draw_clip, read_clips

SHAPE = (20, 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips of one split each, with one frame that has no object, and an image of another source."""
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    train = [(name, "train") for name in ("a_dog_01", "a_dog_02", "a_dog_00", "x_1")]
    for number, (name, split) in enumerate([("b_cat_01", "val"), *train], 1):
        Image.fromarray(np.full((*SHAPE, 3), number, dtype=np.uint8)).save(tmp_path / "images" / f"{name}.png")
        source = "photos" if name == "x_1" else "davis2016"
        size = {"height": SHAPE[0], "width": SHAPE[1]}
        images.append({"id": number, "file_name": f"{name}.png", "source": source, "split": split} | size)
        for column in () if name == "a_dog_02" else (number, number + 10):
            mask = np.zeros(SHAPE, dtype=bool)
            mask[2:6, column : column + 3] = True
            code = {"segmentation": encode_mask(mask), "area": 12, "bbox": [column, 2, 3, 4], "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1} | code)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def test_labelled_frames_are_put_together_by_name_and_in_order(folder: Path) -> None:
    dog, cat = read_clips(folder)
    assert (dog.name, len(dog), cat.name, len(cat)) == ("a_dog", 2, "b_cat", 1)
    assert [int(frame[0, 0, 0]) for frame in dog.frames] == [4, 2]
    assert dog.labels[0].sum() == 24 and dog.labels[0][2, 4] == dog.labels[0][2, 14] == 1


def test_a_split_and_a_length_are_kept_to(folder: Path) -> None:
    assert [clip.name for clip in read_clips(folder, split="train")] == ["a_dog"]
    assert [len(clip) for clip in read_clips(folder, most=1)] == [1, 1]


def test_a_drawn_clip_moves_and_follows_from_its_seed() -> None:
    clip, again = draw_clip(3, 4), draw_clip(3, 4)
    assert len(clip) == 4 and clip.frames[0].dtype == np.uint8
    assert np.array_equal(clip.frames[3], again.frames[3]) and not np.array_equal(clip.labels[0], clip.labels[3])
    assert set(np.unique(clip.labels[0])) == set(np.unique(clip.labels[3])) and clip.labels[0].max() >= 2
