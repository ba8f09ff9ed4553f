"""TIFF and OME-TIFF files, plane by plane."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from psalm.errors import ImageError
from psalm.images.files import check_page, check_pixels
from psalm.images.orientation import turn
from psalm.images.pillow_file import PillowFile
from psalm.images.planes import only_windowed, planes_of

# Kinds of TIFF of which every series is an image; others (slide scanners) add labels and previews as further series.
_ALL_SERIES = ("generic", "imagej", "ome", "shaped", "uniform")
_COLOUR_CHANNELS = 3
_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DAMAGE = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    ZeroDivisionError,
    struct.error,
    tifffile.TiffFileError,
)


def is_tiff(path: Path) -> bool:
    """Whether a file begins as TIFF files do, whatever its name."""
    with open(path, "rb") as file:
        return file.read(4) in _MARKS


@dataclass(frozen=True)
class _Series:
    """A series of planes of one size.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
    leading : tuple of int
        Lengths of the axes before row and column.
    colour : int or None
        Which of them holds red, green and blue.
    """

    series: Any
    leading: tuple[int, ...]
    colour: int | None

    @property
    def pages(self) -> int:
        return math.prod(length for axis, length in enumerate(self.leading) if axis != self.colour)

    @property
    def orientation(self) -> int:
        return int(self.series.keyframe.tags.valueof("Orientation", default=1))

    def planes_of(self, page: int) -> list[int]:
        """Positions of the planes that make up a page."""
        if self.colour is None:
            return [page]
        others = [length for axis, length in enumerate(self.leading) if axis != self.colour]
        index = [int(i) for i in np.unravel_index(page, others)] if others else []
        indices = [(*index[: self.colour], channel, *index[self.colour :]) for channel in range(_COLOUR_CHANNELS)]
        return [int(np.ravel_multi_index(each, self.leading)) for each in indices]


class TiffFile:
    """An open TIFF file; what tifffile cannot decode is left to Pillow.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ImageError
        When it is no TIFF, or its axes make no images.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Other files that an OME-TIFF names are images of their own.
            self._file = tifffile.TiffFile(path, _multifile=False)
        except _DAMAGE as error:
            raise _damaged(path, error) from error
        try:
            found = list(self._file.series)
            chosen = found if found and found[0].kind in _ALL_SERIES else found[:1]
            self._series = [_plan(path, series) for series in chosen]
        except _DAMAGE as error:
            self.close()
            raise error if isinstance(error, ImageError) else _damaged(path, error) from error
        self.pages = sum(series.pages for series in self._series)

    def read(self, page: int) -> NDArray[Any]:
        """One image as (H, W) or (H, W, C), turned the way its orientation says."""
        series, page = self._find(page)
        keyframe = series.series.keyframe
        self._check_pixels(keyframe)
        try:
            if keyframe.photometric == tifffile.PHOTOMETRIC.PALETTE:
                return self._with_pillow(series, page)
            planes = [self._plane(series.series, plane) for plane in series.planes_of(page)]
        except ImageError:
            raise
        except _DAMAGE as error:
            if series.colour is not None or "imagecodecs" not in str(error):
                raise _damaged(self._path, error) from error
            return self._with_pillow(series, page)
        return turn(planes[0] if series.colour is None else np.stack(planes, axis=-1), series.orientation)

    def levels(self, page: int) -> Sequence[Any]:
        """One image at all its levels, finest first, to be sliced; empty when it can only be read as a whole."""
        series, page = self._find(page)
        keyframe = series.series.keyframe
        try:
            is_plain = keyframe.photometric != tifffile.PHOTOMETRIC.PALETTE and series.orientation == 1
            if not is_plain or keyframe.compression not in tifffile.TIFF.DECOMPRESSORS:
                return ()
            arrays = [self._array(series.series, i) for i in range(len(series.series.levels))]
            return only_windowed(planes_of(self._path, arrays, str(series.series.axes).lower(), page))
        except (*_DAMAGE, ImportError):
            return ()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _check_pixels(self, page: Any) -> None:
        """Refuse what is too large to be read as a whole, and say when another package would read it in parts."""
        try:
            check_pixels(self._path, page.imagelength, page.imagewidth)
        except ImageError as error:
            if page.compression in tifffile.TIFF.DECOMPRESSORS or not page.is_tiled:
                raise
            raise ImageError(
                f"{self._path} has {page.imagelength} x {page.imagewidth} pixels in tiles with "
                f"{page.compression.name} compression: pip install 'napari-psalm[slides]' to read it in parts."
            ) from error

    def _find(self, page: int) -> tuple[_Series, int]:
        """The series that holds a page, and which of its own pages that is."""
        check_page(self._path, page, self.pages)
        for series in self._series:
            if page < series.pages:
                break
            page -= series.pages
        return series, page

    def _array(self, series: Any, number: int) -> Any:
        """A level of a series, of which nothing is read yet."""
        level = series.levels[number]
        if level.dataoffset is not None:
            kind = np.dtype(self._file.byteorder + level.dtype.char)
            return self._file.filehandle.memmap_array(kind, level.shape, level.dataoffset)
        import zarr

        return zarr.open(series.aszarr(level=number), mode="r")

    def _plane(self, series: Any, plane: int) -> NDArray[Any]:
        page = series.keyframe
        image = np.asarray(self._values(series, plane)).squeeze()
        shape = (page.imagelength, page.imagewidth)
        if image.size == shape[0] * shape[1]:
            return image.reshape(shape)
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            image = np.moveaxis(image.reshape(-1, *shape), 0, -1)
        return image.reshape(*shape, -1)

    def _values(self, series: Any, plane: int) -> NDArray[Any]:
        page = series.keyframe
        planes = math.prod(series.shape) // (page.imagelength * page.imagewidth * _samples(series))
        if len(series.pages) == planes:
            found = series.pages[plane]
            if found is None:
                raise ImageError(f"{self._path} lacks page {plane}, which its header promises: copy it again.")
            return np.asarray(found.asarray())
        if series.dataoffset is None:
            return np.asarray(series.asarray().reshape(planes, -1)[plane])
        # One header for many planes that lie behind one another: only the one asked for is read.
        size = math.prod(series.shape) // planes
        kind = np.dtype(self._file.byteorder + series.dtype.char)
        self._file.filehandle.seek(series.dataoffset + plane * size * kind.itemsize)
        return np.asarray(self._file.filehandle.read_array(kind, size))

    def _with_pillow(self, series: _Series, page: int) -> NDArray[Any]:
        """Palettes, and compressions that tifffile leaves to other packages."""
        file = PillowFile(self._path)
        try:
            return file.read(int(series.series.pages[page].index))
        finally:
            file.close()


def _plan(path: Path, series: Any) -> _Series:
    axes, shape = str(series.axes), tuple(int(length) for length in series.shape)
    if series.keyframe.planarconfig == tifffile.PLANARCONFIG.SEPARATE and axes.endswith("SYX"):
        axes, shape = axes[:-3] + "YXS", (*shape[:-3], *shape[-2:], shape[-3])
    width = 3 if axes.endswith("YXS") else 2
    if not axes.endswith(("YX", "YXS")):
        raise ImageError(f"{path} is a stack with the axes {axes} and shape {shape}: save its planes as images.")
    leading = shape[:-width]
    channels = axes[:-width].find("C")
    is_colour = width == 2 and channels >= 0 and leading[channels] == _COLOUR_CHANNELS
    return _Series(series, leading, channels if is_colour else None)


def _samples(series: Any) -> int:
    return int(series.shape[series.axes.index("S")]) if "S" in series.axes else 1


def _damaged(path: Path, error: BaseException) -> ImageError:
    reason = str(error) or type(error).__name__
    return ImageError(f"{path} cannot be read as a TIFF image ({reason}): copy it again, or convert it to PNG.")
