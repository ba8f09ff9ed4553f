"""The four prompts of COCO-Interactive for one object, drawn as the published data set draws them.

Each connected part of more than `LEAST_PIXELS` pixels gets its own point, box and scribble, all in one mask per kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import line

from psalm.conditions import RegionKind

LEAST_PIXELS = 5
_TRIES = 1000
_BLUR = 2.0
_LEAST_IOU = 0.5

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Part:
    """A connected part: its box, upper ends exclusive, and the (row, column) of its centre."""

    box: Box
    centre: tuple[float, float]


def draw_prompts(mask: NDArray[np.bool_], rng: np.random.Generator) -> dict[RegionKind, NDArray[np.bool_]]:
    """One mask (H, W) per kind; empty where the object is too small for that kind.

    The points are single pixels and the scribbles lines of one pixel: readers make them discs and strokes.

    Parameters
    ----------
    mask : (H, W) array of bool
        The object.
    rng : numpy.random.Generator
    """
    parts = _parts(mask)
    prompts: dict[RegionKind, NDArray[np.bool_]] = {
        kind: np.zeros_like(mask, dtype=bool) for kind in ("point", "scribble", "box")
    }
    for part in parts:
        point = _point(mask, part, rng)
        if point is not None:
            prompts["point"][point] = True
    for part in parts:
        r0, c0, r1, c1 = _scaled(part.box, rng.uniform(0.9, 1.1), mask.shape)
        prompts["box"][r0:r1, c0:c1] = True
    for part in parts:
        rows, columns = _scribble(part, mask.shape, rng)
        prompts["scribble"][rows, columns] = True
    return prompts | {"mask": _rough(mask)}


def _rough(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the blurred mask is above its mean, which is that of the mask itself."""
    rough = np.zeros_like(mask, dtype=bool)
    for rows, columns in ndimage.find_objects(mask.astype(np.uint8)):
        # Beyond this margin the blur has not reached, and the image may as well end there.
        margin = 2 * int(4 * _BLUR) + 1
        window = tuple(slice(max(part.start - margin, 0), part.stop + margin) for part in (rows, columns))
        blurred = ndimage.gaussian_filter(mask[window].astype(np.float64), sigma=_BLUR)
        rough[window] = blurred > mask.mean()
    return rough


def _parts(mask: NDArray[np.bool_]) -> list[_Part]:
    numbered, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    parts = []
    for number, window in enumerate(ndimage.find_objects(numbered), start=1):
        rows, columns = np.nonzero(numbered[window] == number)
        if len(rows) > LEAST_PIXELS:
            r0, c0 = window[0].start, window[1].start
            box = (r0, c0, window[0].stop, window[1].stop)
            parts.append(_Part(box, (r0 + float(rows.mean()), c0 + float(columns.mean()))))
    return parts


def _point(mask: NDArray[np.bool_], part: _Part, rng: np.random.Generator) -> tuple[int, int] | None:
    """A pixel of the object at most half the shorter side from the middle; None when chance never hits the object."""
    r0, c0, r1, c1 = part.box
    radius = min(r1 - r0, c1 - c0) / 2
    for _ in range(_TRIES):
        angle = rng.uniform(0, 2 * np.pi)
        row = int(part.centre[0] + rng.uniform(0, radius) * np.cos(angle))
        column = int(part.centre[1] + rng.uniform(0, radius) * np.sin(angle))
        row, column = int(np.clip(row, r0, r1 - 1)), int(np.clip(column, c0, c1 - 1))
        if mask[row, column]:
            return row, column
    return None


def _scaled(box: Box, scale: float, shape: tuple[int, ...]) -> Box:
    """A box grown or shrunk about its middle, inside the image."""
    r0, c0, r1, c1 = box
    rows, columns = (r1 - r0) * (scale - 1) / 2, (c1 - c0) * (scale - 1) / 2
    low = max(int(r0 - rows), 0), max(int(c0 - columns), 0)
    return *low, min(int(r1 + rows), shape[0]), min(int(c1 + columns), shape[1])


def _scribble(
    part: _Part, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of a line between corners of a box like the part's, bent by a sine; empty without such a box."""
    box = _similar_box(part, shape, rng)
    if box is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    start, stop = _ends(box, rng)
    rows, columns = line(*start, *stop)
    amplitude, frequency, phase = rng.uniform(10, 20), rng.uniform(0.2, 1), rng.uniform(0, 2 * np.pi)
    bend = amplitude * np.sin(2 * np.pi * frequency * np.linspace(0, 1, len(rows)) + phase)
    return (
        np.clip(rows + bend, 0, shape[0] - 1).astype(np.int64),
        np.clip(columns, 0, shape[1] - 1).astype(np.int64),
    )


def _similar_box(part: _Part, shape: tuple[int, ...], rng: np.random.Generator) -> Box | None:
    """A box about the part's centre, 0.5 to 1.2 times as long, that covers enough of the part's own box."""
    r0, c0, r1, c1 = part.box
    for _ in range(_TRIES + 1):
        height, width = (r1 - r0) * rng.uniform(0.5, 1.2), (c1 - c0) * rng.uniform(0.5, 1.2)
        low = max(int(part.centre[0] - height / 2), 0), max(int(part.centre[1] - width / 2), 0)
        high = min(int(part.centre[0] + height / 2), shape[0]), min(int(part.centre[1] + width / 2), shape[1])
        if _box_iou((*low, *high), part.box) >= _LEAST_IOU:
            return *low, *high
    return None


def _box_iou(first: Box, second: Box) -> float:
    """As the published script counts it: the upper ends are taken for pixels of the box."""
    rows = max(0, min(first[2], second[2]) - max(first[0], second[0]) + 1)
    columns = max(0, min(first[3], second[3]) - max(first[1], second[1]) + 1)
    areas = sum((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (first, second))
    return rows * columns / (areas - rows * columns)


def _ends(box: Box, rng: np.random.Generator) -> tuple[tuple[int, int], tuple[int, int]]:
    """A corner by chance, and the one across the box."""
    r0, c0, r1, c1 = box
    row, column = ((r0, c0), (r0, c1), (r1, c0), (r1, c1))[rng.integers(4)]
    other = r1 if row == r0 else r0
    return (row, column), (other, c1 if column == c0 else c0)
