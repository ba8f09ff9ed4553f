"""The size of an image file, without decoding it where its header tells."""

from __future__ import annotations

from pathlib import Path

from psalm.errors import ImageError
from psalm.images import open_image

_SIDEWAYS = (5, 6, 7, 8)
_EXIF_ORIENTATION = 274


def image_size(path: Path | str, page: int = 0) -> tuple[int, int]:
    """(height, width) of an image as it is shown: turned as its EXIF orientation says.

    Raises
    ------
    ImageError
        When the file is no image, or has no such page.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() in (".tif", ".tiff", ".gif", ".zarr") or page:
        with open_image(path) as file:
            levels = file.levels(page)
            height, width = (levels[0] if levels else file.read(page)).shape[:2]
            return int(height), int(width)
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            sideways = picture.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} cannot be read as an image ({error}): convert it to PNG, JPEG or TIFF.") from error
    return (width, height) if sideways else (height, width)
