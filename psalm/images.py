"""Images as people have them, made into the 8-bit RGB that the model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psalm.errors import ImageError

_PERCENTILES = (0.1, 99.9)


def read_image(path: Path | str) -> NDArray[Any]:
    """Read an image file, turned the way its EXIF orientation says.

    Parameters
    ----------
    path : path
        PNG, JPEG, TIFF or another format that Pillow reads.

    Returns
    -------
    (H, W) or (H, W, C) array
        Grey, RGB or RGBA, in the file's own bit depth.

    Raises
    ------
    ImageError
        When the file is missing, is no image, or is a stack of several planes.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"{path} is not a file: check the path.")
    if path.suffix.lower() in (".tif", ".tiff"):
        return _read_tiff(path)
    return _read_with_pillow(path)


def to_rgb8(image: ArrayLike) -> NDArray[np.uint8]:
    """Convert an image to 8-bit RGB.

    8-bit values are kept, and so is float RGB between 0 and 1 (times 255). Everything else is stretched between its
    0.1 and 99.9 percentile, all channels together. Transparency is dropped.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array
        Grey, grey + alpha, RGB or RGBA; bool, integer or float of any width.

    Returns
    -------
    (H, W, 3) array of uint8

    Raises
    ------
    ImageError
        When the array is empty, has another shape or type, or holds NaN or infinity.
    """
    colours = _colours(np.asarray(image))
    if colours.dtype == bool:
        grey8 = colours.astype(np.uint8) * 255
    elif colours.dtype == np.uint8:
        grey8 = colours
    elif _is_unit_rgb(colours):
        grey8 = np.rint(colours * 255).astype(np.uint8)
    else:
        grey8 = _stretch(colours)
    return np.ascontiguousarray(np.broadcast_to(grey8, (*grey8.shape[:2], 3)))


def _colours(image: NDArray[Any]) -> NDArray[Any]:
    """Check an image and return its (H, W, 1) or (H, W, 3) part without alpha."""
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] > 4:
        raise ImageError(
            f"The image has shape {image.shape}: give (height, width) or (height, width, channels) with 1 to 4 "
            "channels. Take one plane of a stack, or move the channels last with np.moveaxis(image, 0, -1)."
        )
    if image.size == 0:
        raise ImageError(f"The image is empty, its shape is {image.shape}: give at least one pixel.")
    if (
        image.dtype != bool
        and not np.issubdtype(image.dtype, np.integer)
        and not np.issubdtype(image.dtype, np.floating)
    ):
        raise ImageError(f"The image has the type {image.dtype}: convert it to an integer or float type.")
    if np.issubdtype(image.dtype, np.floating):
        bad = int(image.size - np.count_nonzero(np.isfinite(image)))
        if bad:
            raise ImageError(
                f"The image holds {bad} NaN or infinite values: replace them, as np.nan_to_num(image) does."
            )
    return image[..., :1] if image.shape[2] < 3 else image[..., :3]


def _is_unit_rgb(colours: NDArray[Any]) -> bool:
    is_float_rgb = colours.shape[2] == 3 and np.issubdtype(colours.dtype, np.floating)
    return bool(is_float_rgb and colours.min() >= 0 and colours.max() <= 1)


def _stretch(colours: NDArray[Any]) -> NDArray[np.uint8]:
    values = colours.astype(np.float64)
    low, high = np.percentile(values, _PERCENTILES)
    if low == high:  # a few bright pixels on a flat ground
        low, high = values.min(), values.max()
    if low == high:
        return np.zeros(values.shape, dtype=np.uint8)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _read_with_pillow(path: Path) -> NDArray[Any]:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            return np.asarray(_plain_mode(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} cannot be read as an image ({error}): convert it to PNG, JPEG or TIFF.") from error


def _plain_mode(image: Any) -> Any:
    """Turn palettes, masks and print colours into grey, RGB or RGBA."""
    if image.mode in ("L", "RGB", "RGBA", "F", "I") or image.mode.startswith("I;16"):
        return image
    if image.mode == "1":
        return image.convert("L")
    transparent = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def _read_tiff(path: Path) -> NDArray[Any]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            page: Any = series.keyframe
            if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
                return _read_with_pillow(path)
            orientation = int(page.tags.valueof("Orientation", default=1))
            image, axes = series.asarray(), series.axes
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return _read_with_pillow(path)  # compressions that tifffile leaves to other packages
    return _turn(_channels_last(path, image, axes), orientation)


def _channels_last(path: Path, image: NDArray[Any], axes: str) -> NDArray[Any]:
    single = tuple(i for i, length in enumerate(image.shape) if length == 1 and axes[i] not in "YX")
    image = image.squeeze(single)
    axes = "".join(axis for i, axis in enumerate(axes) if i not in single)
    if axes in ("SYX", "CYX") and image.shape[0] in (3, 4):
        image, axes = np.moveaxis(image, 0, -1), "YXS"
    if axes not in ("YX", "YXS", "YXC"):
        raise ImageError(
            f"{path} is a stack with the axes {axes} and shape {image.shape}: save the plane you want as an image."
        )
    return image


def _turn(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply a TIFF orientation (1 to 8): first transposed, then mirrored."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
