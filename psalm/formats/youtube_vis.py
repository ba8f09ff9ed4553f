"""Tracks of a video as COCO with ``video_id``, ``frame`` and ``track_id``, and as YouTube-VIS writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psalm.annotations import Category
from psalm.coco.rle import MAX_PIXELS
from psalm.errors import AnnotationError, OutputError
from psalm.files import write_text


@dataclass(frozen=True)
class VideoEntry:
    """A video, or a stack of planes.

    Parameters
    ----------
    id : int
    name : str
    file_names : tuple of str
        One per frame or plane.
    height, width : int
        Of every frame in pixels.

    Raises
    ------
    AnnotationError
        When there is no frame, or the size cannot be.
    """

    id: int
    name: str
    file_names: tuple[str, ...]
    height: int
    width: int

    def __post_init__(self) -> None:
        if not self.file_names or self.height < 1 or self.width < 1 or self.height * self.width > MAX_PIXELS:
            raise AnnotationError(
                f"Video {self.name!r} has {len(self.file_names)} frames of {self.height} x {self.width} pixels: "
                "give at least one frame, and its size."
            )
        object.__setattr__(self, "file_names", tuple(self.file_names))


@dataclass(frozen=True)
class TrackEntry:
    """One object through a video.

    Parameters
    ----------
    id : int
        Unique among all tracks.
    video_id, category_id : int
    segmentations : mapping of int to dict
        COCO's compressed RLE by frame, from 0; frames without the object are left out.
    scores, trust : mapping of int to float
        By frame, where known.
    """

    id: int
    video_id: int
    category_id: int
    segmentations: Mapping[int, Mapping[str, Any]] = field(repr=False)
    scores: Mapping[int, float] = field(default_factory=dict, repr=False)
    trust: Mapping[int, float] = field(default_factory=dict, repr=False)


def write_video_coco(
    path: Path | str,
    videos: Sequence[VideoEntry],
    categories: Sequence[Category],
    tracks: Sequence[TrackEntry],
    overwrite: bool = False,
) -> Path:
    """Write a COCO instances file with one image entry per frame or plane.

    Images have ``video_id`` and ``frame``, annotations ``video_id``, ``frame`` and ``track_id``; readers that do not
    know videos see plain images.

    Raises
    ------
    AnnotationError
        When a track names a video, frame or category that there is not, or ids are repeated.
    OutputError
        When the file exists and `overwrite` is False, or cannot be written.
    """
    _check(videos, categories, tracks)
    first = _first_image_ids(videos)
    images = [
        _frame_size(video) | {"id": first[video.id] + frame, "file_name": name, "video_id": video.id, "frame": frame}
        for video in videos
        for frame, name in enumerate(video.file_names)
    ]
    annotations: list[dict[str, Any]] = []
    for track in tracks:
        for frame, code in sorted(track.segmentations.items()):
            annotations.append(
                _measures(code)
                | {
                    "id": len(annotations) + 1,
                    "image_id": first[track.video_id] + frame,
                    "category_id": track.category_id,
                    "iscrowd": 0,
                    "score": float(track.scores.get(frame, 1.0)),
                    "video_id": track.video_id,
                    "frame": frame,
                    "track_id": track.id,
                    "psalm": {"trust": float(track.trust.get(frame, 1.0))},
                }
            )
    content = {
        "info": {"description": "Tracks in COCO format, written by psalm", "version": "1.0"},
        "licenses": [],
        "videos": [_frame_size(video) | {"id": video.id, "name": video.name} for video in videos],
        "images": images,
        "annotations": annotations,
        "categories": _category_records(categories),
    }
    return _write(path, content, overwrite)


def write_youtube_vis(
    path: Path | str,
    videos: Sequence[VideoEntry],
    categories: Sequence[Category],
    tracks: Sequence[TrackEntry],
    overwrite: bool = False,
) -> Path:
    """Write a YouTube-VIS file: one annotation per track, with a list of masks in which absent frames are null.

    Raises
    ------
    AnnotationError, OutputError
        As for `write_video_coco`.
    """
    _check(videos, categories, tracks)
    length = {video.id: len(video.file_names) for video in videos}
    size = {video.id: _frame_size(video) for video in videos}
    content = {
        "info": {"description": "Tracks in YouTube-VIS format, written by psalm", "version": "1.0"},
        "licenses": [],
        "videos": [
            _frame_size(video) | {"id": video.id, "length": len(video.file_names), "file_names": list(video.file_names)}
            for video in videos
        ],
        "categories": _category_records(categories),
        "annotations": [_whole_track(track, length[track.video_id]) | size[track.video_id] for track in tracks],
    }
    return _write(path, content, overwrite)


def _whole_track(track: TrackEntry, length: int) -> dict[str, Any]:
    measured = {frame: _measures(code) for frame, code in track.segmentations.items()}
    empty: dict[str, Any] = {"segmentation": None, "bbox": None, "area": None}
    frames = [measured.get(frame, empty) for frame in range(length)]
    scores = [track.scores[frame] for frame in track.segmentations if frame in track.scores]
    return {
        "id": track.id,
        "video_id": track.video_id,
        "category_id": track.category_id,
        "iscrowd": 0,
        "score": float(sum(scores) / len(scores)) if scores else 1.0,
        "segmentations": [frame["segmentation"] for frame in frames],
        "bboxes": [frame["bbox"] for frame in frames],
        "areas": [frame["area"] for frame in frames],
    }


def _measures(code: Mapping[str, Any]) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    bbox = [float(value) for value in coco_mask.toBbox(dict(code))]
    return {"segmentation": dict(code), "area": int(coco_mask.area(dict(code))), "bbox": bbox}


def _check(videos: Sequence[VideoEntry], categories: Sequence[Category], tracks: Sequence[TrackEntry]) -> None:
    by_id = {video.id: video for video in videos}
    known = {category.id for category in categories}
    for what, entries in (("video", videos), ("category", categories), ("track", tracks)):
        ids = [entry.id for entry in entries]
        repeated = sorted({i for i in ids if ids.count(i) > 1})
        if repeated:
            raise AnnotationError(f"The {what} id {repeated[0]} occurs twice: ids must be unique.")
    for track in tracks:
        if track.video_id not in by_id or track.category_id not in known:
            raise AnnotationError(
                f"Track {track.id} names video {track.video_id} and category {track.category_id}, of which one is not "
                "listed: list both."
            )
        video = by_id[track.video_id]
        for frame, code in track.segmentations.items():
            if not 0 <= frame < len(video.file_names) or list(code["size"]) != [video.height, video.width]:
                raise AnnotationError(
                    f"Track {track.id} has a mask of size {list(code['size'])} in frame {frame}; the video has "
                    f"{len(video.file_names)} frames of {video.height} x {video.width}: give masks of its frames."
                )


def _first_image_ids(videos: Sequence[VideoEntry]) -> dict[int, int]:
    first, result = 1, {}
    for video in videos:
        result[video.id] = first
        first += len(video.file_names)
    return result


def _frame_size(video: VideoEntry) -> dict[str, Any]:
    return {"height": video.height, "width": video.width}


def _category_records(categories: Sequence[Category]) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "name": one.name, "supercategory": one.supercategory, "isthing": int(one.is_thing)}
        for one in categories
    ]


def _write(path: Path | str, content: dict[str, Any], overwrite: bool) -> Path:
    if Path(path).exists() and not overwrite:
        raise OutputError(f"{path} exists: choose another name, or allow it to be overwritten.")
    return write_text(path, json.dumps(content, allow_nan=False, ensure_ascii=False))
