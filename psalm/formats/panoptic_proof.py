"""Read a COCO panoptic export back and compare it with the dataset."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError
from psalm.formats.painting import Segment, paint, segments_of
from psalm.formats.proof import compare_masks, disprove
from psalm.formats.records import Labelled
from psalm.formats.selection import Selection


def prove_panoptic(
    file: Path, pictures: Path, chosen: Selection, stuff: Collection[int], crop: bool
) -> tuple[int, int]:
    """Compare every segment with the dataset; return how many images and segments were compared.

    Pillow and the rule of COCO's paper read the pictures, not the code that wrote them.

    Raises
    ------
    AnnotationError
        When anything differs.
    """
    content = json.loads(file.read_text(encoding="utf-8"))
    entries = {entry["image_id"]: entry for entry in content["annotations"]}
    images = objects = 0
    for labelled in chosen:
        entry = entries.pop(labelled.image.id, None)
        if entry is None:
            raise AnnotationError(f"The export lost {labelled.name}: please report this.")
        with Image.open(pictures / entry["file_name"]) as picture:
            red, green, blue = (np.asarray(band, dtype=np.int64) for band in picture.split())
        objects += _compare(labelled, entry["segments_info"], red + 256 * green + 256**2 * blue, stuff, crop)
        images += 1
    if entries:
        raise AnnotationError(f"The export holds {len(entries)} images too many: please report this.")
    return images, objects


def _compare(
    labelled: Labelled, infos: list[dict[str, Any]], ids: np.ndarray[Any, Any], stuff: Collection[int], crop: bool
) -> int:
    segments = segments_of(labelled, stuff)
    expected = _expected(labelled, segments, stuff, crop)
    written = {info["id"]: info for info in infos}
    if set(written) != set(np.unique(ids).tolist()) - {0} or set(written) != set(expected):
        raise AnnotationError(f"The segments of {labelled.name} are not those of its picture: please report this.")
    for segment in segments:
        if segment.number not in expected:
            continue
        info, found = written[segment.number], segment.objects[0]
        mask = ids == segment.number
        if (info["category_id"], info["area"]) != (segment.category_id, int(mask.sum())):
            disprove(labelled, found, "has another category or area")
        _compare_mask(labelled, segment, mask, expected[segment.number])
    return len(written)


def _expected(
    labelled: Labelled, segments: tuple[Segment, ...], stuff: Collection[int], crop: bool
) -> dict[int, np.ndarray[Any, Any] | None]:
    """What each number should cover: its objects' masks, or what is left of them after cropping."""
    if not crop:
        return {segment.number: None for segment in segments}
    painting = paint(labelled, segments, True, stuff)
    return {segment.number: painting.numbers == segment.number for segment in painting.segments}


def _compare_mask(
    labelled: Labelled, segment: Segment, mask: np.ndarray[Any, Any], expected: np.ndarray[Any, Any] | None
) -> None:
    if expected is not None:
        if not np.array_equal(mask, expected):
            disprove(labelled, segment.objects[0], "has another mask")
    elif len(segment.objects) == 1:
        compare_masks(labelled, segment.objects[0], encode_mask(mask))
    elif not np.array_equal(mask, np.logical_or.reduce([found.mask() for found in segment.objects])):
        disprove(labelled, segment.objects[0], "has another mask, together with the others of its category")
