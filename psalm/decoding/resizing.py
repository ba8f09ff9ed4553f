"""A part of a resized map, without resizing the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor
from torch.nn.functional import interpolate

Box = tuple[int, int, int, int]

_BAND = 1 << 20  # numbers at once: few enough for the processor's cache
_TINY = 128  # for results with no more rows and columns together, torch rounds in another order


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) bilinearly at another size (H, W), as the published code does it."""
    return interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def resize_part(map_: Tensor, size: tuple[int, int], box: Box) -> Tensor:
    """What `resize` gives of one map (h, w) inside a box (row0, column0, row1, column1) of the result, bit for bit.

    Columns and rows are resized one after the other. To resize rows alone leaves every column by itself, so the others
    may be left out, and rows that are far away may be anything.
    """
    row0, column0, row1, column1 = box
    first, last = _reach(map_.shape[0], size[0], row0, row1)
    if min(last - first + size[1], size[0] + column1 - column0) <= _TINY:
        return resize(map_[None], size)[0, row0:row1, column0:column1]
    wide = resize(map_[None, first:last], (last - first, size[1]))[0, :, column0:column1]
    tall = map_.new_zeros(map_.shape[0], column1 - column0)
    tall[first:last] = wide
    return resize(tall[None], (size[0], column1 - column0))[0, row0:row1]


def bands(size: tuple[int, int], box: Box) -> Iterator[Box]:
    """A box cut into bands of columns that are each cheap to resize to the full height of a result (H, W)."""
    row0, column0, row1, column1 = box
    step = max(_BAND // size[0], 16)
    for start in range(column0, column1, step):
        yield row0, start, row1, min(start + step, column1)


def positive_box(map_: Tensor) -> Box | None:
    """The box (row0, column0, row1, column1) of what is above zero in a map (h, w); None when nothing is."""
    inside = map_ > 0
    rows, columns = (inside.any(dim=dim).nonzero().flatten() for dim in (1, 0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def grown_box(box: Box, old: tuple[int, int], new: tuple[int, int]) -> Box:
    """Where a map (h, w) can be above zero once it is resized, given where it is now."""
    (row0, row1), (column0, column1) = (_spread(old[axis], new[axis], box[axis], box[axis + 2]) for axis in (0, 1))
    return row0, column0, row1, column1


def clipped(box: Box, size: tuple[int, int]) -> Box | None:
    """The part of a box on a map (h, w); None when there is none."""
    row0, column0, row1, column1 = box[0], box[1], min(box[2], size[0]), min(box[3], size[1])
    return (row0, column0, row1, column1) if row0 < row1 and column0 < column1 else None


def widened(box: Box, margin: int, size: tuple[int, int]) -> Box:
    """A box with a margin around it, as far as the map (h, w) reaches."""
    row0, column0, row1, column1 = box
    return (
        max(row0 - margin, 0),
        max(column0 - margin, 0),
        min(row1 + margin, size[0]),
        min(column1 + margin, size[1]),
    )


def _reach(old: int, new: int, start: int, stop: int) -> tuple[int, int]:
    """Which of `old` rows make the rows from `start` to `stop` of `new` rows, with a margin for rounding."""
    scale = old / new
    first = math.floor((start + 0.5) * scale - 0.5) - 1
    last = math.floor((stop - 0.5) * scale - 0.5) + 3
    return max(first, 0), min(last, old)


def _spread(old: int, new: int, start: int, stop: int) -> tuple[int, int]:
    """Which of `new` rows are made of the rows from `start` to `stop` of `old` rows, with a margin for rounding."""
    scale = new / old
    # The first row of a result lies before the middle of the first row it is made of, and takes that row alone.
    first = 0 if start == 0 else max(math.floor((start - 0.5) * scale - 0.5) - 1, 0)
    return first, new if stop == old else min(math.ceil((stop + 0.5) * scale - 0.5) + 2, new)
