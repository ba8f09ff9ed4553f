"""The outline of a mask along the edges of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ring:
    """A closed outline, foreground on its right-hand side as one walks.

    Parameters
    ----------
    points : (K, 2) array of int
        Corners as (row, column) between pixels: pixel (r, c) has the corners (r, c) and (r + 1, c + 1). The last is
        joined to the first. Starts with the topmost edge; even points start horizontal edges, odd points end them.
    parent : int
        For a hole: the ring that closes the foreground straight above ``points[1]``, the left end of its top edge;
        -1 for the outer ring of a part.
    edge : int
        For a hole: which point of the parent starts the edge straight above; -1 otherwise.
    """

    points: NDArray[np.int64]
    parent: int = -1
    edge: int = -1

    @property
    def is_hole(self) -> bool:
        """Whether the ring bounds a hole."""
        return self.parent >= 0


def trace_rings(mask: NDArray[np.bool_]) -> list[Ring]:
    """Every outline of a mask, outer rings and holes, ordered by row and column of their topmost edges.

    Foreground is 4-connected: parts that touch at a corner only are parts of their own. A hole comes after its parent.

    Parameters
    ----------
    mask : (H, W) array of bool

    Returns
    -------
    list of Ring
    """
    corners = _Corners.of(mask)
    rings: list[Ring] = []
    ring_of, place_of = np.full((2, len(corners.falls)), -1)
    tops: NDArray[np.int64] | None = None
    following = corners.following.tolist()
    for edge, is_outer in enumerate(corners.falls.tolist()):
        if ring_of[edge] >= 0:
            continue
        walk = _walk(2 * edge if is_outer else 2 * edge + 1, following)
        edges = np.asarray(walk[::2]) // 2
        ring_of[edges], place_of[edges] = len(rings), 2 * np.arange(len(edges))
        points = corners.points(walk)
        if is_outer:
            rings.append(Ring(points))
            continue
        tops = _tops(mask) if tops is None else tops
        row, column = points[1]
        above = corners.edge_over(int(tops[row - 1, column]), int(column))
        rings.append(Ring(points, int(ring_of[above]), int(place_of[above])))
    return rings


def parts(rings: list[Ring]) -> list[list[int]]:
    """Positions of the rings of each part: its outer ring first, then its holes."""
    part_of: list[int] = []
    found: list[list[int]] = []
    for i, ring in enumerate(rings):
        part_of.append(part_of[ring.parent] if ring.is_hole else len(found))
        if ring.is_hole:
            found[part_of[i]].append(i)
        else:
            found.append([i])
    return found


@dataclass(frozen=True)
class _Corners:
    """Where outlines turn, row by row; corners 2 k and 2 k + 1 are the ends of horizontal edge k.

    Two outlines meet where pixels touch at a corner: the corner is there twice, first as the right end of the edge on
    its left, then as the left end of the edge on its right.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    following: NDArray[np.int64]
    falls: NDArray[np.bool_]  # foreground lies below edge k, which is walked from left to right
    width: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> _Corners:
        padded = np.pad(mask, 1)
        # The pixels around every corner of the grid.
        top_left, top_right = padded[:-1, :-1], padded[:-1, 1:]
        low_left, low_right = padded[1:, :-1], padded[1:, 1:]
        left, right = top_left ^ low_left, top_right ^ low_right
        meets = left & right & (top_left ^ top_right)
        rows, columns = np.nonzero((left ^ right) | meets)
        twice = np.repeat(np.arange(len(rows)), 1 + meets[rows, columns])
        rows, columns = rows[twice], columns[twice]
        falls = low_right[rows[::2], columns[::2]]
        mate = _vertical_mates(rows, columns, top_left, top_left ^ top_right)
        # From the start of a horizontal edge one comes to its end, and from there up or down to the next start.
        following = np.arange(len(rows)) ^ 1
        ends = np.arange(0, len(rows), 2) + falls
        following[ends] = mate[ends]
        return cls(rows, columns, following, falls, mask.shape[1])

    def points(self, walk: list[int]) -> NDArray[np.int64]:
        """(K, 2) array of (row, column)."""
        return np.stack([self.rows[walk], self.columns[walk]], axis=1)

    def edge_over(self, row: int, column: int) -> int:
        """The horizontal edge that borders pixel (row, column) from above."""
        keys = self.rows[::2] * (self.width + 1) + self.columns[::2]
        return int(np.searchsorted(keys, row * (self.width + 1) + column, side="right")) - 1


def _vertical_mates(
    rows: NDArray[np.int64], columns: NDArray[np.int64], top_left: NDArray[np.bool_], up: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The other end of the vertical edge at each corner."""
    goes_up = up[rows, columns]
    second = np.zeros(len(rows), dtype=bool)
    second[1:] = (rows[1:] == rows[:-1]) & (columns[1:] == columns[:-1])
    first = np.append(second[1:], False)
    # Where outlines meet, each goes around its own pixel.
    goes_up[first] = top_left[rows[first], columns[first]]
    goes_up[second] = ~top_left[rows[second], columns[second]]
    order = np.lexsort((~goes_up, rows, columns))
    mates = np.empty(len(rows), dtype=np.int64)
    mates[order[::2]], mates[order[1::2]] = order[1::2], order[::2]
    return mates


def _walk(start: int, following: list[int]) -> list[int]:
    walk = [start]
    corner = following[start]
    while corner != start:
        walk.append(corner)
        corner = following[corner]
    return walk


def _tops(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(H, W): for each pixel, the first row of the vertical run of foreground that it is in."""
    below = np.arange(1, len(mask) + 1)[:, None]
    tops: NDArray[np.int64] = np.maximum.accumulate(np.where(mask, 0, below), axis=0)
    return tops
