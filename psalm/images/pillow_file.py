"""Files that Pillow reads."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from psalm.errors import ImageError
from psalm.images.files import MAX_PIXELS, SMALLER, check_page, check_pixels
from psalm.images.orientation import TAG, turn

# A JPEG from a phone may hold a preview as its second frame; these hold nothing but pages.
_PAGED = ("GIF", "PNG", "TIFF", "WEBP")
# What Pillow raises on damaged files.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
)


class PillowFile:
    """An open image file, read with Pillow.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ImageError
        When it is no image.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _explained(path):
            self._file = Image.open(path)
            self.pages = int(getattr(self._file, "n_frames", 1)) if self._file.format in _PAGED else 1

    def read(self, page: int) -> NDArray[Any]:
        """One image as (H, W) or (H, W, C), turned the way its orientation says."""
        check_page(self._path, page, self.pages)
        with _explained(self._path):
            if self.pages > 1:
                self._file.seek(page)
            check_pixels(self._path, self._file.height, self._file.width)
            # Asking for the orientation may load the image, after which its file's depth is forgotten.
            image = _deep_colours(self._path) if _has_deep_colours(self._file) else None
            orientation = int(self._file.getexif().get(TAG, 1))
            return turn(np.asarray(_plain_mode(self._file)) if image is None else image, orientation)

    def levels(self, page: int) -> Sequence[Any]:
        """Nothing: these files are read as a whole."""
        return ()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image, or its beginning is damaged: remove it, or copy it again.") from None
    except Image.DecompressionBombError:
        # Pillow refuses these before it tells their size.
        raise ImageError(f"{path} has more than {MAX_PIXELS // 1_000_000} million pixels: {SMALLER}.") from None
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise ImageError(
            f"{path} cannot be read as an image ({reason}): copy it again, or convert it to PNG, JPEG or TIFF."
        ) from error


def _plain_mode(image: Any) -> Any:
    """Turn palettes, masks and print colours into grey, RGB or RGBA."""
    if image.mode in ("L", "RGB", "RGBA", "F", "I") or image.mode.startswith("I;16"):
        return image
    if image.mode == "1":
        return image.convert("L")
    transparent = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def _has_deep_colours(image: Any) -> bool:
    """Whether a PNG has 16 bits per channel, of which Pillow would keep 8."""
    return image.format == "PNG" and any(str(tile[3]).endswith(";16B") and tile[3] != "I;16B" for tile in image.tile)


def _deep_colours(path: Path) -> NDArray[np.uint16]:
    import torch

    try:
        from torchvision.io import decode_png
    except ImportError as error:  # newer versions may leave it to another package
        raise ImageError(f"{path} has 16 bits per colour, which cannot be read here: save it as TIFF.") from error
    data = torch.from_numpy(np.fromfile(path, dtype=np.uint8))
    return np.ascontiguousarray(decode_png(data).permute(1, 2, 0).numpy())
