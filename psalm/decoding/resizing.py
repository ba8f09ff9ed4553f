"""A part of a resized map, without resizing the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Box = tuple[int, int, int, int]

_BAND = 1 << 18  # numbers at once: few enough for the processor's cache
_TINY = 128  # for results with no more rows and columns together, torch rounds in another order


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) bilinearly at another size (H, W), as the published code does it."""
    return interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def resize_part(map_: Tensor, size: tuple[int, int], box: Box) -> Tensor:
    """What `resize` gives of one map (h, w) inside a box (row0, column0, row1, column1) of the result.

    On some processors to the last bit, on others to rounding, as torch's own kernel has it there.
    """
    return torch.cat([band for _, band in resize_bands(map_, size, box)])


def resize_bands(map_: Tensor, size: tuple[int, int], box: Box) -> Iterator[tuple[slice, Tensor]]:
    """As `resize_part`, some rows at a time: which rows of the box, and their values.

    Columns and rows are resized one after the other, so that each number is made of two. torch's own way makes it of
    four that lie apart, and takes several times as long.
    """
    row0, column0, row1, column1 = box
    if sum(size) <= _TINY:
        yield slice(0, row1 - row0), resize(map_[None], size)[0, row0:row1, column0:column1]
        return
    low, high, share = _neighbours(map_.shape[0], size[0], row0, row1, map_.device)
    columns = _neighbours(map_.shape[1], size[1], column0, column1, map_.device)
    step = max(_BAND // (column1 - column0), 1)
    for start in range(0, row1 - row0, step):
        rows = slice(start, min(start + step, row1 - row0))
        first, last = int(low[rows][0]), int(high[rows][-1]) + 1
        wide = _between(map_[first:last], 1, *columns)
        yield rows, _between(wide, 0, low[rows] - first, high[rows] - first, share[rows, None])


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


def _between(map_: Tensor, axis: int, low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    """What lies between pairs of rows (axis 0) or columns (axis 1), given the share of each pair's second one."""
    # The order and the one rounding of torch's own kernel.
    before, after = map_.index_select(axis, low), map_.index_select(axis, high)
    return after.mul_(share).addcmul_(before, 1 - share)


def _neighbours(old: int, new: int, start: int, stop: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Which two of `old` rows make each row from `start` to `stop` of `new` rows, and the share of the second one."""
    scale = torch.tensor(float(old), device=device) / new
    position = ((torch.arange(start, stop, device=device) + 0.5) * scale - 0.5).clamp_(min=0)
    low = position.long().clamp_(max=old - 1)
    return low, (low + 1).clamp_(max=old - 1), (position - low).clamp_(max=1)


def _spread(old: int, new: int, start: int, stop: int) -> tuple[int, int]:
    """Which of `new` rows are made of the rows from `start` to `stop` of `old` rows, with a margin for rounding."""
    scale = new / old
    # The first row of a result lies before the middle of the first row it is made of, and takes that row alone.
    first = 0 if start == 0 else max(math.floor((start - 0.5) * scale - 0.5) - 1, 0)
    return first, new if stop == old else min(math.ceil((stop + 0.5) * scale - 0.5) + 2, new)
