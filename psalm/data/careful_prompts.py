"""The prompts a careful annotator would draw for an object, always the same for the same mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from psalm.conditions import RegionKind, VisualPriorCondition
from psalm.config import PSALMConfig

Mask = NDArray[np.bool_]

# Share of the way from the middle to the border that a scribble runs.
_SCRIBBLE_REACH = 0.8


def careful_prompt(mask: Mask, kind: RegionKind, radius: float) -> VisualPriorCondition:
    """The region of one object.

    Parameters
    ----------
    mask : (H, W) array of bool
        The true object, not empty.
    kind : {"point", "scribble", "box", "mask"}
        point: the most interior pixel. scribble: a straight line through it, along the object. box: the true box. mask:
        the object moved a little and made coarser or finer.
    radius : float
        Of a click, or half the width of a scribble, in pixels.
    """
    shape = (mask.shape[0], mask.shape[1])
    if kind == "point":
        return VisualPriorCondition.from_points([interior_pixel(mask)], shape, radius)
    if kind == "scribble":
        return VisualPriorCondition.from_scribbles([middle_line(mask)], shape, radius)
    if kind == "box":
        return VisualPriorCondition.from_boxes([true_box(mask)], shape)
    return VisualPriorCondition(jittered(mask)[None])


def simulate_prompts(masks: Sequence[Mask], kind: RegionKind, config: PSALMConfig) -> VisualPriorCondition:
    """One region per object.

    Parameters
    ----------
    masks : sequence of (H, W) arrays of bool
        The true objects, none empty.
    kind : {"point", "scribble", "box", "mask"}
        See `careful_prompt`.
    config : PSALMConfig
        For the radii of points and scribbles.
    """
    radius = config.scribble_radius if kind == "scribble" else config.point_radius
    prompts = [careful_prompt(mask, kind, radius) for mask in masks]
    return VisualPriorCondition(np.concatenate([prompt.masks for prompt in prompts]), (kind,) * len(prompts))


def interior_pixel(mask: Mask) -> tuple[int, int]:
    """(row, column) of the pixel farthest from the outside, the first of equals."""
    depth = _depth(mask)
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return int(row) + true_box(mask)[0], int(column) + true_box(mask)[1]


def _depth(mask: Mask) -> NDArray[np.float64]:
    """Distance of each pixel of the object's box to the outside; the border of the image is outside."""
    from scipy.ndimage import distance_transform_edt

    r0, c0, r1, c1 = true_box(mask)
    return np.asarray(distance_transform_edt(np.pad(mask[r0:r1, c0:c1], 1)))[1:-1, 1:-1]


def middle_line(mask: Mask) -> NDArray[np.float64]:
    """End points (2, 2) of a line inside the mask, through its most interior pixel, along its longest direction."""
    centre = np.array(interior_pixel(mask), dtype=np.float64)
    points = np.argwhere(mask).astype(np.float64)
    spread = np.cov(points.T) if len(points) > 1 else np.eye(2)
    direction = np.linalg.eigh(spread)[1][:, -1]
    direction = direction if direction[np.argmax(np.abs(direction))] > 0 else -direction
    return np.stack(
        [centre + sign * _SCRIBBLE_REACH * _reach(mask, centre, sign * direction) * direction for sign in (-1, 1)]
    )


def _reach(mask: Mask, start: NDArray[np.float64], direction: NDArray[np.float64]) -> float:
    """How many pixels one can go in a direction without leaving the mask."""
    steps = np.arange(1, sum(mask.shape))
    rows, columns = np.rint(start[:, None] + direction[:, None] * steps).astype(int)
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    inside[inside] = mask[rows[inside], columns[inside]]
    return float(steps[-1] if inside.all() else np.argmin(inside))


def true_box(mask: Mask) -> tuple[int, int, int, int]:
    """(row0, column0, row1, column1), upper ends exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def jittered(mask: Mask) -> Mask:
    """A mask as drawn by hand: off by up to a third of the object's half width, and grown or shrunk by an eighth."""
    from scipy.ndimage import binary_dilation, binary_erosion, shift

    rng = np.random.default_rng(int(mask.sum()))
    half_width = float(_depth(mask).max())
    # Whole pixels, rounded down: a thin object that moves by its width would be missed altogether.
    moved = shift(mask, np.fix(rng.uniform(-1 / 3, 1 / 3, 2) * half_width), order=0, prefilter=False)
    change = binary_dilation if rng.random() < 0.5 else binary_erosion
    steps = int(half_width / 8)
    return np.asarray(change(moved, iterations=steps) if steps else moved, dtype=bool)
