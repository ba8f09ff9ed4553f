"""Objects that may overlap, as one map in which they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psalm.coco import CocoDataset, ImageEntry


@dataclass(frozen=True)
class TrueSegments:
    """The truth of an image as a map.

    Parameters
    ----------
    segments : (H, W) array of int32
        Segment number from 1; 0 where nothing is labelled. Where objects overlap, the smaller one is in front.
    category_ids : tuple of int
        Per segment.
    is_crowd : tuple of bool
        Per segment.
    """

    segments: NDArray[np.int32]
    category_ids: tuple[int, ...]
    is_crowd: tuple[bool, ...]

    def categories(self) -> NDArray[np.int64]:
        """The category id of each pixel (H, W); 0 where nothing is labelled."""
        return np.array((0, *self.category_ids), dtype=np.int64)[self.segments]


def true_segments(dataset: CocoDataset, image: ImageEntry) -> TrueSegments:
    """One segment per thing, per crowd, and per stuff category."""
    masks: list[NDArray[np.bool_]] = []
    category_ids: list[int] = []
    crowds: list[bool] = []
    stuff: dict[int, int] = {}
    for annotation in dataset.by_image[image.id]:
        mask, category_id = annotation.mask(), annotation.category_id
        if category_id in stuff and not annotation.iscrowd:
            masks[stuff[category_id]] |= mask
            continue
        if not dataset.category_of[category_id].is_thing and not annotation.iscrowd:
            stuff[category_id] = len(masks)
        masks.append(mask)
        category_ids.append(category_id)
        crowds.append(annotation.iscrowd)
    return TrueSegments(paint(masks, image.size), tuple(category_ids), tuple(crowds))


def paint(masks: list[NDArray[np.bool_]], size: tuple[int, int]) -> NDArray[np.int32]:
    """Number the masks from 1 on one (H, W) map, large ones first, so that small ones stay in front."""
    segments = np.zeros(size, dtype=np.int32)
    for i in sorted(range(len(masks)), key=lambda i: -int(masks[i].sum())):
        segments[masks[i]] = i + 1
    return segments
