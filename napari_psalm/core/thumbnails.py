"""A small picture of an object: the image around it, with its mask in the colour of its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.object_colours import object_colour

if TYPE_CHECKING:
    from napari.layers import Image

_MARGIN = 0.2
_TINT = 0.35


def thumbnail(layer: AnnotationLayer, label_id: int, image: Image | None, size: int) -> NDArray[np.uint8]:
    """Draw an object.

    Parameters
    ----------
    layer : AnnotationLayer
        Holds the object; of an object in a stack the slice nearest to its middle that shows it is drawn.
    label_id : int
        The object.
    image : napari.layers.Image, optional
        What lies below; used when it has the grid of the layer.
    size : int
        Longer side of the picture in pixels.

    Returns
    -------
    (height, width, 3) array of uint8
    """
    middle = [(axis.start + axis.stop - 1) / 2 for axis in layer.index.box(label_id)[:-2]]
    at, place = layer.index.nearest(label_id, middle)
    window = tuple(_wider(axis, length) for axis, length in zip(place, layer.layer.data.shape[-2:], strict=True))
    rows, columns = (_sample(axis, size, max(w.stop - w.start for w in window)) for axis in window)
    mask = layer.layer.data[at][np.ix_(rows, columns)] == label_id
    picture = _pixels(image, layer.layer.data.shape, at, rows, columns)
    if picture is None:
        picture = np.full((*mask.shape, 3), 48, dtype=np.float32)
    name = layer.facts(label_id).category
    grey = (0.75, 0.75, 0.75)
    colour = 255 * np.asarray(object_colour(label_id, name, layer.categories) if layer.categories else grey)
    edge = mask & ~_eroded(mask)
    picture[mask] = (1 - _TINT) * picture[mask] + _TINT * colour
    picture[edge] = colour
    return picture.round().astype(np.uint8)


def _wider(axis: slice, length: int) -> slice:
    margin = 2 + int(_MARGIN * (axis.stop - axis.start))
    return slice(max(axis.start - margin, 0), min(axis.stop + margin, length))


def _sample(axis: slice, size: int, longest: int) -> NDArray[np.intp]:
    """Positions along an axis, so that the longest axis gets `size` of them."""
    count = max(1, round(size * (axis.stop - axis.start) / longest))
    return np.linspace(axis.start, axis.stop - 1, count).round().astype(np.intp)


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    return padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & mask


def _pixels(
    image: Image | None, shape: tuple[int, ...], at: tuple[int, ...], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float32] | None:
    """Pixels of the image, 0 to 255, (height, width, 3); None when its grid is another."""
    data: Any = image.data if image is not None and not image.multiscale else None
    if image is None or data is None or tuple(data.shape[: len(shape)]) != tuple(shape):
        return None
    # Slices first: a lazy array need not know how to take lists of rows.
    window = data[(*at, slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))]
    pixels = np.asarray(window)[np.ix_(rows - rows[0], columns - columns[0])].astype(np.float32)
    if pixels.ndim == 3:
        pixels = pixels[..., :3] * (1 if data.dtype == np.uint8 else 255 / max(float(pixels.max(initial=0)), 1e-6))
        return pixels
    low, high = image.contrast_limits
    grey = np.clip((pixels - low) / max(high - low, 1e-12), 0, 1) * 255
    return np.repeat(grey[..., None], 3, axis=2)
