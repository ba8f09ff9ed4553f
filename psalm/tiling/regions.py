"""Any number of regions on images of any size: each is asked in a window around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from psalm.annotations import Category
from psalm.conditions import VisualPriorCondition
from psalm.cutouts import Cutout, CutoutAnnotations, CutoutRegions
from psalm.tiling.asking import Question, to_image
from psalm.tiling.categories import Progress
from psalm.tiling.merging import is_cut
from psalm.tiling.plan import TilePlan
from psalm.tiling.source import Box, ImageSource

MOST_REGIONS = 32  # in one prompt
_ROOM = 1 / 8  # of a window's side, between a region and the window's edge


def ask_regions(
    source: ImageSource,
    regions: CutoutRegions,
    question: Question,
    plan: TilePlan,
    progress: Progress | None = None,
) -> tuple[CutoutAnnotations, int, str]:
    """One object per region, in the order of the regions; regions that lie together share a window and a prompt.

    An object that is cut by the edge of its window is asked again in a larger one, up to the whole image.

    Returns
    -------
    objects : CutoutAnnotations
    windows : int
        How many times the model looked.
    message : str
        What was done, in words.
    """
    sides = {i: _side(regions.cutouts[i], source.size, question, plan) for i in range(len(regions))}
    answers: dict[int, tuple[Cutout, float]] = {}
    looks = grown = 0
    while sides:
        batch = _windows(regions, sides, source.size, question.batch_size)
        if progress:
            progress(len(regions) - len(sides), len(regions), f"window at {batch[0][0][:2]}")
        looks += len(batch)
        for window, members, found in _ask(source, regions, question, batch):
            for i in members:
                cutout, score = found.get(i, (None, 0.0))
                side = max(window[2] - window[0], window[3] - window[1])
                margin = int(2 * max(side / question.model_size, 1))
                if cutout is not None and is_cut(cutout.box, window, source.size, margin) and side < max(source.size):
                    sides[i] = 2 * side
                    grown += 1
                    continue
                del sides[i]
                if cutout is not None:
                    answers[i] = cutout, score
    if progress:
        progress(len(regions), len(regions), "")
    return _collect(regions, answers, question), looks, _message(source, regions, looks, grown)


def _side(cutout: Cutout, size: tuple[int, int], question: Question, plan: TilePlan) -> int:
    """The side of the first window around a region."""
    side = plan.side(size, question.predictor.config) or max(size)
    if plan.size is None and plan.object_size is None:
        # Nothing is known of the object but where it was drawn; a box or mask tells its size.
        known = 2.5 * cutout.extent / (1 - 2 * _ROOM)
        side = max(side, round(known))
    return min(max(side, plan.smallest, round(cutout.extent / (1 - 2 * _ROOM)) + 2), max(size))


def _windows(
    regions: CutoutRegions, sides: dict[int, int], size: tuple[int, int], count: int
) -> list[tuple[Box, list[int]]]:
    """Up to `count` windows, smaller ones first, each with open regions that lie well inside it."""
    windows = []
    order = sorted(sides, key=lambda i: (sides[i], i))
    boxes = np.asarray([regions.cutouts[i].box for i in order])
    wanted = np.asarray([sides[i] for i in order])
    free = np.ones(len(order), dtype=bool)
    for first in range(len(order)):
        if not free[first]:
            continue
        side = int(wanted[first])
        window = _window(regions.cutouts[order[first]], side, size)
        room = side * _ROOM
        inside = free & (wanted == side)
        for axis in (0, 1):
            low = window[axis] + (room if window[axis] > 0 else 0)
            high = window[axis + 2] - (room if window[axis + 2] < size[axis] else 0)
            inside &= (boxes[:, axis] >= low) & (boxes[:, axis + 2] <= high)
        inside[first] = True
        others = [i for i in np.flatnonzero(inside).tolist() if i != first][: MOST_REGIONS - 1]
        members = sorted([first, *others])
        free[members] = False
        windows.append((window, [order[i] for i in members]))
        if len(windows) == count:
            break
    return windows


def _window(cutout: Cutout, side: int, size: tuple[int, int]) -> Box:
    """A window of a side around a region, moved into the image."""
    start = [
        int(np.clip(round(centre - side / 2), 0, max(length - side, 0)))
        for centre, length in zip(cutout.centre, size, strict=True)
    ]
    return start[0], start[1], min(start[0] + side, size[0]), min(start[1] + side, size[1])


def _ask(
    source: ImageSource, regions: CutoutRegions, question: Question, batch: Sequence[tuple[Box, list[int]]]
) -> list[tuple[Box, list[int], dict[int, tuple[Cutout | None, float]]]]:
    images = [question.read(source, window) for window, _ in batch]
    conditions = [
        _condition(regions, window, members, image.shape[:2])
        for (window, members), image in zip(batch, images, strict=True)
    ]
    result = []
    for (window, members), answer in zip(batch, question.ask(images, conditions), strict=True):
        # An answer names its region: regions without an object have none.
        by_text = {f"{regions.kinds[i]} {k + 1}": i for k, i in enumerate(members)}
        found = {
            by_text[text]: (to_image(mask, window), float(score))
            for mask, score, text in zip(answer.masks, answer.scores, answer.prompts, strict=True)
        }
        result.append((window, members, found))
    return result


def _condition(
    regions: CutoutRegions, window: Box, members: Sequence[int], shape: tuple[int, ...]
) -> VisualPriorCondition:
    """Some of the regions on a picture (h, w) of a window, and what is excluded there."""
    masks = np.stack([_drawn(regions.cutouts[i], window, shape) for i in members])
    low, high = np.asarray(window[:2]), np.asarray(window[2:])
    excluded = [
        _drawn(cutout, window, shape)
        for cutout in regions.excluded
        if (low <= cutout.centre).all() and (cutout.centre < high).all()
    ]
    kinds = tuple(regions.kinds[i] for i in members)
    return VisualPriorCondition(masks, kinds, np.stack(excluded) if excluded else None)


def _drawn(cutout: Cutout, window: Box, shape: tuple[int, ...]) -> np.ndarray:
    """A region (h, w) as it lies on a picture of a window; never empty."""
    factors = shape[0] / (window[2] - window[0]), shape[1] / (window[3] - window[1])
    rows, columns = np.nonzero(cutout.mask())
    mask = np.zeros(shape, dtype=bool)
    # Pictures are never larger than their window, so every pixel of the region falls on one of the picture.
    at = [
        np.clip(((pixels + corner - start) * factor).astype(int), 0, length - 1)
        for pixels, corner, start, factor, length in zip(
            (rows, columns), cutout.corner, window[:2], factors, shape, strict=True
        )
    ]
    mask[at[0], at[1]] = True
    return mask


def _collect(regions: CutoutRegions, answers: dict[int, tuple[Cutout, float]], question: Question) -> CutoutAnnotations:
    from psalm.decoding.result import REGION_CATEGORY

    kept = [i for i in sorted(answers) if answers[i][0].area >= max(question.limits.min_area, 1)]
    return CutoutAnnotations(
        regions.size,
        tuple(answers[i][0] for i in kept),
        np.ones(len(kept), dtype=np.int64),
        np.array([answers[i][1] for i in kept], dtype=np.float32),
        (Category(1, REGION_CATEGORY),),
        tuple(f"{regions.kinds[i]} {i + 1}" for i in kept),
    )


def _message(source: ImageSource, regions: CutoutRegions, looks: int, grown: int) -> str:
    height, width = source.size
    text = f"{len(regions)} regions of the image of {height} x {width} pixels were asked in {looks} windows"
    if grown:
        text += f"; {grown} times an object reached the edge of its window and was asked again in a larger one"
    return text + "."
