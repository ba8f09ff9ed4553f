"""Tracks as COCO with video fields and as YouTube-VIS: read back, they are what was written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from psalm.annotations import Category
from psalm.coco import read_coco
from psalm.coco.rle import decode_segmentation, encode_mask
from psalm.errors import AnnotationError, OutputError
from psalm.formats.youtube_vis import TrackEntry, VideoEntry, write_video_coco, write_youtube_vis

VIDEO = VideoEntry(3, "clip", ("a.png", "b.png", "c.png"), 20, 30)
CELL = Category(2, "cell")


def mask(row: int) -> np.ndarray:
    result = np.zeros((20, 30), dtype=bool)
    result[row : row + 4, 5:12] = True
    result[row + 1, 7] = False  # a hole
    return result


@pytest.fixture
def track() -> TrackEntry:
    return TrackEntry(9, 3, 2, {0: encode_mask(mask(1)), 2: encode_mask(mask(8))}, {0: 0.5, 2: 0.7}, {2: 0.25})


def test_a_coco_file_has_an_image_per_frame_and_names_the_track(track, tmp_path: Path):
    path = write_video_coco(tmp_path / "coco.json", [VIDEO], [CELL], [track])
    content = json.loads(path.read_text())
    assert [(image["video_id"], image["frame"]) for image in content["images"]] == [(3, 0), (3, 1), (3, 2)]
    assert [(a["track_id"], a["video_id"], a["frame"]) for a in content["annotations"]] == [(9, 3, 0), (9, 3, 2)]
    assert content["annotations"][1]["psalm"] == {"trust": 0.25}
    dataset = read_coco(path)
    last = dataset.annotations_of(dataset.images[2])
    assert (last.masks[0] == mask(8)).all()
    assert last.scores[0] == pytest.approx(0.7)
    assert len(dataset.annotations_of(dataset.images[1])) == 0


def test_a_youtube_vis_file_has_one_annotation_per_track(track, tmp_path: Path):
    content = json.loads(write_youtube_vis(tmp_path / "vis.json", [VIDEO], [CELL], [track]).read_text())
    assert content["videos"] == [
        {"height": 20, "width": 30, "id": 3, "length": 3, "file_names": ["a.png", "b.png", "c.png"]}
    ]
    (annotation,) = content["annotations"]
    assert [code is None for code in annotation["segmentations"]] == [False, True, False]
    assert annotation["areas"] == [27, None, 27]
    assert annotation["bboxes"] == [[5.0, 1.0, 7.0, 4.0], None, [5.0, 8.0, 7.0, 4.0]]
    assert annotation["score"] == pytest.approx(0.6)
    assert (decode_segmentation(annotation["segmentations"][0], (20, 30)) == mask(1)).all()


def test_what_does_not_fit_is_refused_and_nothing_is_overwritten(track, tmp_path: Path):
    with pytest.raises(AnnotationError, match="not listed"):
        write_youtube_vis(tmp_path / "a.json", [VIDEO], [], [track])
    with pytest.raises(AnnotationError, match="occurs twice"):
        write_video_coco(tmp_path / "a.json", [VIDEO], [CELL], [track, track])
    with pytest.raises(AnnotationError, match="frame 3"):
        write_video_coco(tmp_path / "a.json", [VIDEO], [CELL], [TrackEntry(1, 3, 2, {3: encode_mask(mask(1))})])
    with pytest.raises(AnnotationError, match="at least one frame"):
        VideoEntry(1, "none", (), 20, 30)
    write_video_coco(tmp_path / "a.json", [VIDEO], [CELL], [track])
    with pytest.raises(OutputError, match="exists"):
        write_video_coco(tmp_path / "a.json", [VIDEO], [CELL], [track])
