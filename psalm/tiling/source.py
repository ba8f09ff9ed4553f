"""Images of any size, read window by window at the resolution that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from psalm.errors import ImageError
from psalm.images import contrast_limits, read_image, to_rgb8

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
    def of(cls, image: Any) -> ImageSource:
        """The source of an array, of a list of arrays (finest first), of a path, or of a source.

        A path may name an OME-Zarr folder, a TIFF with levels (both need ``pip install zarr``), or an image file.

        Raises
        ------
        ImageError
            When the image cannot be read or used.
        """
        if isinstance(image, ImageSource):
            return image
        if isinstance(image, (str, Path)):
            return cls(_open(Path(image)))
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


class _Plane:
    """One plane of an array with more axes, its channels moved last; nothing is read until it is sliced."""

    def __init__(self, array: Any, axes: str) -> None:
        self._array, self._axes = array, axes
        sizes = dict(zip(axes, array.shape, strict=True))
        self._channels = sizes.get("c", 1) if 2 < sizes.get("c", 1) <= 4 else 0
        self.shape = (sizes["y"], sizes["x"], self._channels) if self._channels else (sizes["y"], sizes["x"])
        self.dtype = array.dtype

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[Any]:
        whole = slice(None) if self._channels else 0
        chosen = {"y": index[0], "x": index[1], "c": whole}
        pixels = np.asarray(self._array[tuple(chosen.get(axis, 0) for axis in self._axes)])
        kept = [axis for axis in self._axes if axis in "yx" or (axis == "c" and self._channels)]
        order = [kept.index(axis) for axis in ("y", "x", "c") if axis in kept]
        return pixels.transpose(order)


def _open(path: Path) -> Sequence[Any]:
    if path.is_dir():
        return _open_ome_zarr(path)
    if path.suffix.lower() in (".tif", ".tiff", ".svs", ".ndpi"):
        levels = _open_tiff_levels(path)
        if levels:
            return levels
    return [read_image(path)]


def _zarr(path: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise ImageError(f"{path} needs the package zarr: pip install 'napari-psalm[zarr]'.") from error
    return zarr


def _open_ome_zarr(path: Path) -> Sequence[Any]:
    """The levels of the first image of an OME-Zarr folder (versions 0.4 and 0.5): first time, channel and plane."""
    zarr = _zarr(path)
    try:
        node = zarr.open(str(path), mode="r")
        if not hasattr(node, "attrs") or hasattr(node, "dtype"):
            return [_Plane(node, "tczyx"[-node.ndim :] if node.ndim != 3 else "yxc")]
        attributes = dict(node.attrs)
        image = attributes.get("ome", attributes)["multiscales"][0]
        axes = "".join(axis["name"] if isinstance(axis, dict) else axis for axis in image["axes"]).lower()
        return [_Plane(node[level["path"]], axes) for level in image["datasets"]]
    except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
        raise ImageError(f"{path} is no OME-Zarr image ({error}): give the folder that holds its levels.") from error


def _open_tiff_levels(path: Path) -> Sequence[Any]:
    """The levels of a pyramidal TIFF; nothing for a plain one."""
    import tifffile

    try:
        series = tifffile.TiffFile(path).series[0]
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return []
    if len(series.levels) < 2:
        return []
    zarr = _zarr(path)
    axes = series.axes.lower().replace("s", "c")
    return [_Plane(zarr.open(series.aszarr(level=i), mode="r"), axes) for i in range(len(series.levels))]
