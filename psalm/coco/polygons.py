"""Masks as polygons that pycocotools turns back into the same masks, or into similar ones on request.

COCO measures from the corner of the first pixel, so polygons follow the edges of pixels at whole numbers. Polygons of
one annotation are united, so a hole cannot be a polygon of its own: it hangs on the outline by a vertical line that is
walked down and up again. pycocotools fills by counting how often the outline crosses a column, and vertical lines cross
none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco.rings import Ring, parts, trace_rings
from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError

_TOLERANCES = (0.5, 0.71, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 23.0, 32.0)


def exact_polygons(mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[list[int]]:
    """Polygons that pycocotools turns into exactly this mask: one per part, holes included.

    Parameters
    ----------
    mask : (H, W) array of bool
        Any mask with at least one pixel.
    origin : (row, column)
        Where the mask starts in its image.

    Returns
    -------
    list of list of int
        COCO's ``[[x, y, x, y, ...], ...]``, whole numbers.
    """
    return [_flat(outline.points, origin) for outline in outlines(mask)]


def simplified_polygons(mask: NDArray[np.bool_], min_iou: float, origin: tuple[int, int] = (0, 0)) -> list[list[int]]:
    """Polygons with few points whose mask has at least this intersection over union with the given one.

    Parameters
    ----------
    mask : (H, W) array of bool
        Any mask with at least one pixel.
    min_iou : float
        Above 0, at most 1; the result may be exact when nothing simpler is good enough.
    origin : (row, column)
        Where the mask starts in its image.

    Returns
    -------
    list of list of int
        COCO's ``[[x, y, x, y, ...], ...]``.

    Raises
    ------
    AnnotationError
        When `min_iou` is out of range.
    """
    if not 0 < min_iou <= 1:
        raise AnnotationError(f"The least IoU is {min_iou}: give a number above 0 and at most 1.")
    whole = outlines(mask)
    code = encode_mask(mask)
    best = [outline.points for outline in whole]
    low, high = 0, len(_TOLERANCES)
    while low < high:
        middle = (low + high) // 2
        shapes = [_simplify(outline, _TOLERANCES[middle]) for outline in whole]
        shapes = [points for points in shapes if len(points) > 2]
        if shapes and _iou([_flat(points) for points in shapes], code) >= min_iou:
            best, low = shapes, middle + 1
        else:
            high = middle
    return [_flat(points, origin) for points in best]


def rings_of_parts(mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[list[list[list[int]]]]:
    """Exact outlines for formats that know holes: per part its outer ring and its holes as [x, y] points, closed."""
    rings = trace_rings(mask)
    shifted = [[[int(column) + origin[1], int(row) + origin[0]] for row, column in ring.points] for ring in rings]
    return [[shifted[i] + shifted[i][:1] for i in part] for part in parts(rings)]


def joined_polygon(polygons: list[list[int]]) -> list[int]:
    """One polygon of several: each hangs on the one before it by a line that is walked there and back.

    For formats that know one polygon per object. Filled by counting crossings it is the same mask, for the line is
    crossed twice.
    """
    pieces = [np.asarray(polygon, dtype=np.int64).reshape(-1, 2) for polygon in polygons]
    hangs = [0]
    for i in range(1, len(pieces)):
        here, there = _nearest(pieces[i - 1], pieces[i])
        pieces[i] = np.roll(pieces[i], -there, axis=0)
        hangs.append(here)
    joined = pieces[-1]
    for piece, here in zip(pieces[-2::-1], hangs[:0:-1], strict=True):
        joined = np.concatenate([piece[: here + 1], joined, joined[:1], piece[here:]])
    return [int(value) for value in joined.ravel()]


@dataclass(frozen=True)
class Outline:
    """The closed outline of a part, its holes hanging on it.

    Parameters
    ----------
    points : (K, 2) array of int
        Corners as (row, column).
    fixed : (K,) array of bool
        Ends of the lines on which holes hang: both walks along such a line must stay the same.
    """

    points: NDArray[np.int64]
    fixed: NDArray[np.bool_]


def outlines(mask: NDArray[np.bool_]) -> list[Outline]:
    """Exact outlines of a mask, one per part.

    Raises
    ------
    AnnotationError
        When the mask has no pixel.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise AnnotationError("The mask has no pixel, so it has no polygon: remove the object.")
    rings = trace_rings(np.asarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], dtype=bool))
    hanging: dict[tuple[int, int], list[int]] = {}
    for i, ring in enumerate(rings):
        if ring.is_hole:
            hanging.setdefault((ring.parent, ring.edge), []).append(i)
    found = []
    for part in parts(rings):
        steps = np.array(_without_repeats(_around(part[0], rings, hanging)))
        found.append(Outline(steps[:, :2] + (rows[0], columns[0]), steps[:, 2].astype(bool)))
    return found


_Step = tuple[int, int, bool]


def _around(root: int, rings: list[Ring], hanging: dict[tuple[int, int], list[int]]) -> Iterator[_Step]:
    """Points of a ring and of all that hangs on it; a stack, because holes may hang on holes a thousand deep."""
    stack = [_ring_steps(root, rings, hanging)]
    while stack:
        for step in stack[-1]:
            if isinstance(step, int):
                stack.append(_ring_steps(step, rings, hanging))
                break
            yield step
        else:
            stack.pop()


def _ring_steps(i: int, rings: list[Ring], hanging: dict[tuple[int, int], list[int]]) -> Iterator[_Step | int]:
    """Points of one ring, and the number of a hole where one hangs."""
    ring = rings[i]
    points = ring.points.tolist()
    first = 1 if ring.is_hole else 0
    for place in range(first, len(points) + first):
        place %= len(points)
        row, column = points[place]
        yield row, column, ring.is_hole and place == first
        for hole in sorted(hanging.get((i, place), ()), key=lambda hole: int(rings[hole].points[1, 1])):
            end = (row, int(rings[hole].points[1, 1]), True)
            yield end
            yield hole
            yield end
    if ring.is_hole:
        yield points[1][0], points[1][1], True


def _without_repeats(steps: Iterable[_Step]) -> list[_Step]:
    kept: list[_Step] = []
    for step in steps:
        if kept and kept[-1][:2] == step[:2]:
            kept[-1] = (step[0], step[1], kept[-1][2] or step[2])
        else:
            kept.append(step)
    return kept


def _simplify(outline: Outline, tolerance: float) -> NDArray[np.int64]:
    """Douglas and Peucker's points of an outline; the fixed points stay."""
    from skimage.measure import approximate_polygon

    points = np.concatenate([outline.points, outline.points[:1]])
    stops = np.unique([0, *np.flatnonzero(outline.fixed), len(points) - 1])
    stretches = [approximate_polygon(points[a : b + 1], tolerance)[:-1] for a, b in pairwise(stops)]
    return _without_spurs(np.concatenate(stretches).astype(np.int64))


def _without_spurs(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out repeated points, and lines to holes that are gone."""
    kept: list[list[int]] = []
    for point in points.tolist():
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and kept[-2] == point:
            kept.pop()
        else:
            kept.append(point)
    return np.array(kept)


def _flat(points: NDArray[np.int64], origin: tuple[int, int] = (0, 0)) -> list[int]:
    return [int(value) for value in (points + origin)[:, ::-1].ravel()]


def _iou(polygons: list[list[int]], code: dict[str, Any]) -> float:
    from pycocotools import mask as coco_mask

    other = coco_mask.merge(coco_mask.frPyObjects(polygons, *code["size"]))
    return float(coco_mask.iou([other], [code], [0])[0, 0])


def _nearest(here: NDArray[np.int64], there: NDArray[np.int64]) -> tuple[int, int]:
    """Positions of the points of two polygons that are nearest to each other."""
    from scipy.spatial import KDTree

    distances, positions = KDTree(here).query(there)
    best = int(np.argmin(distances))
    return int(positions[best]), best
