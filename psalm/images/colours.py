"""Any depth and number of channels as 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psalm.errors import ImageError

_PERCENTILES = (0.1, 99.9)


def to_rgb8(image: ArrayLike, limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Convert an image to 8-bit RGB.

    8-bit values are kept, and so is float RGB between 0 and 1 (times 255). Everything else is stretched between its
    0.1 and 99.9 percentile, all channels together. Transparency is dropped.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array
        Grey, grey + alpha, RGB or RGBA; bool, integer or float of any width.
    limits : (low, high), optional
        From `contrast_limits` of the whole image, when `image` is a part of it.

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
    elif limits is not None:
        grey8 = _between(colours.astype(np.float64), *limits)
    elif _is_unit_rgb(colours):
        grey8 = np.rint(colours * 255).astype(np.uint8)
    else:
        grey8 = _stretch(colours)
    return np.ascontiguousarray(np.broadcast_to(grey8, (*grey8.shape[:2], 3)))


def contrast_limits(image: ArrayLike) -> tuple[float, float]:
    """The values that `to_rgb8` makes black and white, to give the parts of an image the contrast of the whole."""
    colours = _colours(np.asarray(image))
    if colours.dtype in (bool, np.uint8) or _is_unit_rgb(colours):
        return 0.0, 255.0 if colours.dtype == np.uint8 else 1.0
    return _range(colours)


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
    if colours.dtype == np.uint16:
        # Every value that can occur is stretched once, which spares eight bytes per pixel.
        low, high = _range(colours)
        return _between(np.arange(65536, dtype=np.float64), low, high)[colours]
    values = colours.astype(np.float64)
    return _between(values, *_range(values))


def _range(values: NDArray[Any]) -> tuple[float, float]:
    low, high = np.percentile(values, _PERCENTILES)
    if low == high:  # a few bright pixels on a flat ground
        return float(values.min()), float(values.max())
    return float(low), float(high)


def _between(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    if low == high:
        return np.zeros(values.shape, dtype=np.uint8)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
