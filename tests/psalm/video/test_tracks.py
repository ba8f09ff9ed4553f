"""Tracks are collected in any order and written once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from psalm.annotations import Category
from psalm.cutouts import Cutout
from psalm.errors import AnnotationError
from psalm.video import TrackedFrame, TrackedObject, Tracks

from .conftest import SIZE, Clip


def frame(index: int, *objects: tuple[int, int | None], known: bool = False) -> TrackedFrame:
    found = []
    for i, row in objects:
        mask = np.zeros(SIZE, dtype=bool)
        mask[row or 0 : (row or 0) + 5, 3:9] = row is not None
        found.append(TrackedObject(i, Cutout.from_mask(mask), 0.5, 0.5))
    return TrackedFrame(index, SIZE, tuple(found), known)


def test_later_answers_replace_earlier_ones_but_never_a_marked_frame(clip: Clip, tmp_path: Path):
    tracks = Tracks(clip, "clip")
    tracks.extend([frame(2, (1, 4), (2, 20)), frame(0, (1, 2), known=True), frame(2, (1, None)), frame(0, (1, 30))])
    assert tracks.ids == (1, 2)
    assert (tracks.frames_of(1), tracks.frames_of(2)) == ((0,), (2,))
    content = json.loads(tracks.write_coco(tmp_path / "a.json", {1: Category(1, "x"), 2: Category(1, "x")}).read_text())
    assert [(a["track_id"], a["frame"], a["bbox"][1]) for a in content["annotations"]] == [(1, 0, 2.0), (2, 2, 20.0)]
    assert len(content["images"]) == len(clip)


def test_every_object_needs_a_category(clip: Clip, tmp_path: Path):
    tracks = Tracks(clip)
    with pytest.raises(AnnotationError, match="No frame"):
        tracks.write_youtube_vis(tmp_path / "a.json", {})
    tracks.add(frame(1, (4, 3)))
    with pytest.raises(AnnotationError, match="have no category"):
        tracks.write_youtube_vis(tmp_path / "a.json", {})
