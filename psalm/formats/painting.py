"""Objects of an image as one picture of numbers, for formats in which a pixel belongs to one object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psalm.coco.rle import pixels_of
from psalm.errors import AnnotationError
from psalm.formats.records import Labelled
from psalm.store import StoredObject


@dataclass(frozen=True)
class Segment:
    """What gets one number: an object, or all objects of a stuff category."""

    number: int
    category_id: int
    objects: tuple[StoredObject, ...]


@dataclass(frozen=True)
class Painting:
    """A picture of numbers, 0 where nothing is.

    Parameters
    ----------
    numbers : (H, W) array of uint32
    segments : tuple of Segment
        Those that can be seen.
    cropped, hidden : int
        Objects that lie partly or wholly under others.
    """

    numbers: NDArray[np.uint32]
    segments: tuple[Segment, ...]
    cropped: int = 0
    hidden: int = 0


def segments_of(labelled: Labelled, stuff: Iterable[int] = ()) -> tuple[Segment, ...]:
    """A segment per object; the objects of each category in `stuff` share one."""
    shared: dict[int, list[StoredObject]] = {}
    groups: list[list[StoredObject]] = []
    kinds = set(stuff)
    for found in labelled.objects:
        if found.category_id in kinds and found.category_id in shared:
            shared[found.category_id].append(found)
            continue
        groups.append([found])
        if found.category_id in kinds:
            shared[found.category_id] = groups[-1]
    return tuple(Segment(i, group[0].category_id, tuple(group)) for i, group in enumerate(groups, start=1))


def paint(labelled: Labelled, segments: Sequence[Segment], crop: bool, stuff: Iterable[int] = ()) -> Painting:
    """Paint segments into one picture: stuff first, then things, the better score on top; drawn by hand is best.

    Raises
    ------
    AnnotationError
        When objects overlap and `crop` is False; the message names two of them.
    """
    height, width = labelled.image.size
    flat = np.zeros(height * width, dtype=np.uint32)
    kinds = set(stuff)
    pixels = {segment.number: _pixels(segment) for segment in segments}
    for segment in sorted(segments, key=lambda segment: (segment.category_id not in kinds, _score(segment))):
        under = flat[pixels[segment.number]]
        if not crop and under.any():
            below = segments[int(under[under > 0][0]) - 1].objects[0]
            raise AnnotationError(
                f"{labelled.name}: the objects {below.id} and {segment.objects[0].id} overlap, and this format gives a "
                "pixel to one object: allow the one with the lower score to be cropped (--overlaps crop), or use coco."
            )
        flat[pixels[segment.number]] = segment.number
    left = np.bincount(flat, minlength=len(segments) + 1)
    hidden = sum(left[segment.number] == 0 for segment in segments)
    cropped = sum(0 < left[segment.number] < len(pixels[segment.number]) for segment in segments)
    seen = tuple(segment for segment in segments if left[segment.number])
    return Painting(flat.reshape(width, height).T, seen, int(cropped), int(hidden))


def crop_notes(cropped: int, hidden: int) -> tuple[str, ...]:
    """What should be said about overlaps."""
    notes = []
    if cropped:
        notes.append(f"{cropped} objects are cropped where others lie over them.")
    if hidden:
        notes.append(f"{hidden} objects are left out, for others hide them.")
    return tuple(notes)


def _pixels(segment: Segment) -> NDArray[np.int64]:
    found = [pixels_of(found.rle) for found in segment.objects]
    return found[0] if len(found) == 1 else np.unique(np.concatenate(found))


def _score(segment: Segment) -> float:
    scores = [found.score for found in segment.objects]
    return min(2.0 if score is None else score for score in scores)
