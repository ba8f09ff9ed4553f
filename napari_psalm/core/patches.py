"""A mask in its own box, cheap to compare with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Patch:
    """A mask in a box.

    Parameters
    ----------
    row, column : int
        Where the first pixel of the box lies.
    mask : (h, w) array of bool
    """

    row: int
    column: int
    mask: NDArray[np.bool_]

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_]) -> Patch:
        """Cut a mask (H, W) that is not empty to its box."""
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return cls(int(rows[0]), int(columns[0]), part)

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in the image."""
        height, width = self.mask.shape
        return slice(self.row, self.row + height), slice(self.column, self.column + width)

    def inside(self, other: Patch) -> tuple[slice, slice]:
        """The part of this box that `other` shares, as an index into `mask`; empty where they do not meet."""
        parts = []
        for mine, its in zip(self.slices, other.slices, strict=True):
            start, stop = max(mine.start, its.start), min(mine.stop, its.stop)
            parts.append(slice(start - mine.start, max(stop, start) - mine.start))
        return parts[0], parts[1]

    def shared(self, other: Patch) -> int:
        """Pixels in both."""
        return int(np.count_nonzero(self.mask[self.inside(other)] & other.mask[other.inside(self)]))

    def iou(self, other: Patch) -> float:
        """Intersection over union."""
        shared = self.shared(other)
        return shared / (self.area + other.area - shared) if shared else 0.0


def union(patches: Sequence[Patch]) -> Patch:
    """The pixels of any of some patches."""
    rows, columns = zip(*(patch.slices for patch in patches), strict=True)
    row, column = min(part.start for part in rows), min(part.start for part in columns)
    mask = np.zeros((max(part.stop for part in rows) - row, max(part.stop for part in columns) - column), dtype=bool)
    for patch in patches:
        height, width = patch.mask.shape
        mask[patch.row - row : patch.row - row + height, patch.column - column : patch.column - column + width] |= (
            patch.mask
        )
    return Patch(row, column, mask)
