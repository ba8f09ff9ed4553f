"""Pages of arrays with more axes than rows and columns, of which only windows are ever read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.errors import ImageError

_COLOURS = 3
# A window takes all chunks that it touches, so larger ones would hardly be windows.
_MOST_CHUNK_PIXELS = 1 << 24


def leading_axes(axes: str, shape: Sequence[int]) -> str:
    """The axes that make an array a stack of pages; an axis S, or three planes of an axis C, are the colours of one."""
    return "".join(axis for axis in axes if axis not in "yx" and axis != _colour_axis(axes, shape))


def count_pages(axes: str, shape: Sequence[int]) -> int:
    """How many pages an array holds."""
    sizes = dict(zip(axes, shape, strict=True))
    return math.prod(sizes[axis] for axis in leading_axes(axes, shape))


class Plane:
    """One page of an array; nothing is read until it is sliced.

    Parameters
    ----------
    path : Path
        Named when it cannot be read.
    array : array
        Anything that can be sliced.
    axes : str
        A letter for each: y, x, c or s for colours, and any others.
    at : mapping
        Position along each axis that makes pages, as a fraction of its length.
    """

    def __init__(self, path: Path, array: Any, axes: str, at: dict[str, float]) -> None:
        self._path, self._array, self._axes = path, array, axes
        sizes = dict(zip(axes, array.shape, strict=True))
        colour = _colour_axis(axes, array.shape)
        # Levels of a volume may have fewer planes than the finest.
        self._index: dict[str, Any] = {axis: int(sizes[axis] * part) for axis, part in at.items()}
        self._index[colour] = slice(None)
        self._order = [axis for axis in axes if axis in ("y", "x", colour)]
        self._kept = ["y", "x", colour] if colour else ["y", "x"]
        self.shape = tuple(int(sizes[axis]) for axis in self._kept)
        self.dtype = array.dtype

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        index = self._index | {"y": window[0], "x": window[1]}
        try:
            pixels = np.asarray(self._array[tuple(index[axis] for axis in self._axes)])
        except Exception as error:  # a damaged file can make a decoder fail in any way
            reason = f"{type(error).__name__}: {error}"
            raise ImageError(f"{self._path} cannot be read ({reason}): copy it again, or write it anew.") from error
        return pixels.transpose([self._order.index(axis) for axis in self._kept])

    @property
    def is_windowed(self) -> bool:
        """Whether a small window is read without the rest."""
        chunks = getattr(self._array, "chunks", None)
        sizes = dict(zip(self._axes, chunks, strict=True)) if chunks else {}
        return int(sizes.get("y", 1)) * int(sizes.get("x", 1)) <= _MOST_CHUNK_PIXELS


def planes_of(path: Path, arrays: Sequence[Any], axes: str, page: int) -> list[Plane]:
    """A page at all levels of an image, finest first."""
    leading = leading_axes(axes, arrays[0].shape)
    sizes = dict(zip(axes, arrays[0].shape, strict=True))
    lengths = tuple(int(sizes[axis]) for axis in leading)
    index = np.unravel_index(page, lengths) if lengths else ()
    # The middle of a plane, so that no rounding leads to its neighbour.
    at = {axis: (int(i) + 0.5) / n for axis, i, n in zip(leading, index, lengths, strict=True)}
    return [Plane(path, array, axes, at) for array in arrays]


def only_windowed(planes: list[Plane]) -> list[Plane]:
    """The same levels; none when they cannot be read in windows."""
    return planes if all(plane.is_windowed for plane in planes) else []


def _colour_axis(axes: str, shape: Sequence[int]) -> str:
    if "s" in axes:
        return "s"
    return "c" if "c" in axes and shape[axes.index("c")] == _COLOURS else ""
