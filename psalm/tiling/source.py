"""Images of any size, read window by window at the resolution that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from psalm.errors import ImageError
from psalm.images import contrast_limits, open_file, read_image, to_rgb8

Box: TypeAlias = tuple[int, int, int, int]
"""(row0, column0, row1, column1) in pixels; the upper ends are exclusive."""

_BAND_PIXELS = 1 << 23  # read at once when an image is shrunk
_SAMPLE_GRID, _SAMPLE_SIDE = 16, 64


class ImageSource:
    """An image, or the levels of a pyramid, of which only windows are ever read.

    Parameters
    ----------
    levels : sequence of arrays
        (H, W) or (H, W, C) each, finest first: numpy arrays and memory maps, dask and zarr arrays, or anything else
        with a ``shape`` that can be sliced.

    Raises
    ------
    ImageError
        When there is no level, or one has another shape.
    """

    def __init__(self, levels: Sequence[Any]) -> None:
        if not levels:
            raise ImageError("The image has no level: give at least one array.")
        for level in levels:
            if len(level.shape) not in (2, 3) or (len(level.shape) == 3 and level.shape[2] > 4):
                raise ImageError(
                    f"A level has shape {tuple(level.shape)}: give (height, width) or (height, width, channels) with 1 "
                    "to 4 channels; take one plane of a stack."
                )
        self._levels = sorted(levels, key=lambda level: -level.shape[0] * level.shape[1])

    @classmethod
    def of(cls, image: Any, page: int | None = None) -> ImageSource:
        """The source of an array, of a list of arrays (finest first), of a path, or of a source.

        Of OME-Zarr folders and TIFF files (both need ``pip install 'napari-psalm[zarr]'``) only windows are read, of
        other files the whole. `page` says which image of a file with several is meant, as in `psalm.read_image`.

        Raises
        ------
        ImageError
            When the image cannot be read or used, or is one of several and `page` is not given.
        """
        if isinstance(image, ImageSource):
            return image
        if isinstance(image, (str, Path)):
            return cls(_open(Path(image), page))
        if isinstance(image, (list, tuple)) and image and hasattr(image[0], "shape"):
            return cls(image)
        return cls([image if hasattr(image, "shape") else np.asarray(image)])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the finest level."""
        return int(self._levels[0].shape[0]), int(self._levels[0].shape[1])

    @property
    def num_levels(self) -> int:
        """How many resolutions there are."""
        return len(self._levels)

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The values that become black and white, from patches spread over the whole image."""
        level = self._levels[-1]
        side = _SAMPLE_GRID * _SAMPLE_SIDE
        if level.dtype in (bool, np.uint8):
            return contrast_limits(np.zeros((1, 1), dtype=level.dtype))
        if level.shape[0] * level.shape[1] <= 4 * side**2:
            return contrast_limits(_read(level, (0, 0, level.shape[0], level.shape[1])))
        starts = [np.linspace(0, max(n - _SAMPLE_SIDE, 0), _SAMPLE_GRID).astype(int) for n in level.shape[:2]]
        patches = [
            _read(level, (int(r), int(c), int(r) + _SAMPLE_SIDE, int(c) + _SAMPLE_SIDE))
            for r in starts[0]
            for c in starts[1]
        ]
        return contrast_limits(np.concatenate([patch.reshape(1, -1, *patch.shape[2:]) for patch in patches], axis=1))

    def level_for(self, shrink: float) -> int:
        """The coarsest level that is still fine enough when the image is to be made `shrink` times smaller."""
        fine = [i for i, level in enumerate(self._levels) if self.size[0] / level.shape[0] <= shrink * 1.05]
        return fine[-1] if fine else 0

    def read(self, window: Box, shrink: float = 1.0) -> NDArray[np.uint8]:
        """A window as 8-bit RGB with the contrast of the whole image, up to `shrink` times smaller.

        Parameters
        ----------
        window : (row0, column0, row1, column1)
            In pixels of the finest level.
        shrink : float
            How many times smaller the result may be; 1 reads every pixel.

        Returns
        -------
        (h, w, 3) array of uint8
        """
        level = self._levels[self.level_for(shrink)]
        factors = self.size[0] / level.shape[0], self.size[1] / level.shape[1]
        low = int(window[0] / factors[0]), int(window[1] / factors[1])
        high = (
            min(max(round(window[2] / factors[0]), low[0] + 1), int(level.shape[0])),
            min(max(round(window[3] / factors[1]), low[1] + 1), int(level.shape[1])),
        )
        step = max(int(shrink / max(factors)), 1)
        if step == 1:
            return to_rgb8(_read(level, (*low, *high)), self.limits)
        return self._shrunk(level, (*low, *high), step)

    def _shrunk(self, level: Any, window: Box, step: int) -> NDArray[np.uint8]:
        """Means of blocks of `step` pixels along each side, read in bands so that little is in memory at once."""
        row0, column0, row1, column1 = window
        rows, columns = max((row1 - row0) // step, 1), max((column1 - column0) // step, 1)
        result = np.empty((rows, columns, 3), dtype=np.uint8)
        band = max(_BAND_PIXELS // (step * (column1 - column0)), 1)
        for start in range(0, rows, band):
            stop = min(start + band, rows)
            part = (row0 + start * step, column0, min(row0 + stop * step, row1), min(column0 + columns * step, column1))
            pixels = to_rgb8(_read(level, part), self.limits)
            result[start:stop] = _block_mean(pixels, stop - start, columns)
        return result


def _block_mean(pixels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    blocks = pixels[: rows * height, : columns * width].reshape(rows, height, columns, width, 3)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


def _read(level: Any, window: Box) -> NDArray[Any]:
    return np.asarray(level[window[0] : window[2], window[1] : window[3]])


def _open(path: Path, page: int | None) -> Sequence[Any]:
    """The levels of an image file; it stays open as long as they are used."""
    file = open_file(path)
    if page is not None or file.pages == 1:
        levels = file.levels(page or 0)
        if levels:
            return levels
    file.close()
    return [read_image(path, page)]
