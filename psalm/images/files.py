"""Image files, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from psalm.errors import ImageError

# What slide scanners write is TIFF under other names.
_SLIDES = (".bif", ".ndpi", ".qptiff", ".scn", ".svs")
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", *_SLIDES})
# An image of this size takes a few GiB on its way to the model; more than that is not read as a whole by mistake.
MAX_PIXELS = 100_000_000
# What can be done about it.
SMALLER = (
    "cut it into tiles, make it smaller, or save it as OME-Zarr or tiled TIFF, which are read in parts "
    "(pip install 'napari-psalm[zarr]')"
)


class ImageFile(Protocol):
    """An open image file."""

    @property
    def pages(self) -> int:
        """How many images the file holds."""

    def read(self, page: int) -> NDArray[Any]:
        """One image as (H, W) or (H, W, C), turned the way its orientation says."""

    def levels(self, page: int) -> Sequence[Any]:
        """One image at all its resolutions, finest first, each (H, W) or (H, W, C) and read where it is sliced.

        Empty when it can only be read as a whole. They hold as long as the file is open.
        """

    def close(self) -> None:
        """Let go of the file."""


def read_image(path: Path | str, page: int | None = None) -> NDArray[Any]:
    """Read an image file, turned the way its EXIF orientation says.

    This is the one place where the orientation is decided: every height, width, row and column in psalm is that of the
    turned image.

    Parameters
    ----------
    path : path
        PNG, JPEG, TIFF, OME-TIFF, an OME-Zarr folder or another format that Pillow reads.
    page : int, optional
        Which image of a file with several, from 0. The planes of a TIFF are counted as they lie in the file, the last
        axis fastest; three planes of an axis C are one RGB page. Needed only where there are several.

    Returns
    -------
    (H, W) or (H, W, C) array
        Grey, RGB or RGBA, in the file's own bit depth.

    Raises
    ------
    ImageError
        When the file is missing, empty, damaged or no image, has more than `MAX_PIXELS`, or has no such page.
    """
    with open_image(path) as file:
        if page is None and file.pages > 1:
            raise ImageError(f"{path} is a stack of {file.pages} pages: say which one, from 0 to {file.pages - 1}.")
        return file.read(page or 0)


@contextmanager
def open_image(path: Path | str) -> Iterator[ImageFile]:
    """Open an image file to count its pages, or to read several of them.

    Parameters
    ----------
    path : path

    Raises
    ------
    ImageError
        When the file is missing, empty or no image.
    """
    file = open_file(Path(path))
    try:
        yield file
    finally:
        file.close()


def open_file(path: Path) -> ImageFile:
    """As `open_image`; whoever opens it so closes it."""
    from psalm.images.pillow_file import PillowFile
    from psalm.images.tiff_file import TiffFile, is_tiff
    from psalm.images.zarr_folder import ZarrFolder

    try:
        if path.is_dir():
            return ZarrFolder(path)
        if not path.is_file():
            raise ImageError(f"{path} is not a file: check the path.")
        if path.stat().st_size == 0:
            raise ImageError(f"{path} is empty, it has 0 bytes: copy it again.")
        return TiffFile(path) if is_tiff(path) else PillowFile(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror or error}): check its permissions.") from error


def check_pixels(path: Path, height: int, width: int) -> None:
    """Refuse an image before its pixels are read.

    Raises
    ------
    ImageError
        When it has more than `MAX_PIXELS`, or none.
    """
    if height < 1 or width < 1:
        raise ImageError(f"{path} has {height} x {width} pixels: there is nothing to see in it.")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{path} has {height} x {width} pixels, more than {MAX_PIXELS // 1_000_000} million: {SMALLER}."
        )


def check_page(path: Path, page: int, pages: int) -> None:
    """Refuse a page that the file does not have.

    Raises
    ------
    ImageError
    """
    if not 0 <= page < pages:
        raise ImageError(f"{path} has no page {page}: its pages are 0 to {pages - 1}.")
