"""What the model is shown of a plane: all of it or what the canvas shows, with no more pixels than it can use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.block_means import block_means
from napari_psalm.core.image_planes import ImagePlane
from psalm.errors import ImageError

if TYPE_CHECKING:
    from napari.components import ViewerModel

ENOUGH = 2048
"""Longest side, in pixels, of what is read: more than any model looks at."""


def visible_window(viewer: ViewerModel, plane: ImagePlane) -> ImagePlane:
    """The part of a plane that the canvas shows.

    Raises
    ------
    ImageError
        When the canvas shows none of it.
    """
    camera, size = viewer.scene.camera, np.asarray(viewer.canvas.size, dtype=np.float64)
    half = size / (2 * camera.zoom)
    middle = np.asarray(camera.center, dtype=np.float64)[-2:]
    shown = list(viewer.dims.displayed)
    corners = np.tile(np.asarray(viewer.dims.point, dtype=np.float64), (4, 1))
    corners[:, shown] = [middle + half * sign for sign in ((-1, -1), (-1, 1), (1, -1), (1, 1))]
    data = np.stack([np.asarray(plane.layer.world_to_data(corner)) for corner in corners])
    pixels = ((data + 0.5) / np.asarray(plane.downsampling))[:, list(plane.axes)]
    limit = np.asarray(plane.stack_shape)[list(plane.axes)]
    low = np.clip(np.floor(pixels.min(axis=0) + 1e-6), 0, limit).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0) - 1e-6), 0, limit).astype(int)
    if (high <= low).any():
        raise ImageError(f"{plane.layer.name!r} is out of view: press Home to see it, or choose 'Whole image'.")
    return replace(plane, window=(slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))))


def reduced(plane: ImagePlane, longest: int = ENOUGH) -> ImagePlane:
    """The same part of the image with fewer pixels, where its longest side is at least twice `longest`.

    A pyramid gives a coarser level; else, or where its levels are not enough, blocks of pixels are averaged.
    """
    for fewer in (_coarser, _averaged):
        factor = max(plane.shape) / longest
        if factor >= 2:
            plane = fewer(plane, factor)
    return plane


def seen_whole(pixels: NDArray[Any]) -> NDArray[Any]:
    """What `reduced` leaves of an image (H, W) or (H, W, C) that is no pyramid and is looked at as a whole."""
    factor = max(pixels.shape[:2]) / ENOUGH
    return block_means(pixels, int(factor)) if factor >= 2 else pixels


def _coarser(plane: ImagePlane, factor: float) -> ImagePlane:
    """The coarsest level of the pyramid that is at most `factor` smaller."""
    if not plane.layer.multiscale:
        return plane
    axes = list(plane.axes)
    shapes = np.asarray(plane.layer.level_shapes)[:, : plane.ndim]
    for level in reversed(range(len(shapes))):
        downsampling = shapes[0] / shapes[level]
        ratio = downsampling[axes] / np.asarray(plane.downsampling)[axes]
        if ratio.max() <= factor and ratio.min() > 1:
            break
    else:
        return plane
    full = (np.asarray(plane.position) + 0.5) * plane.downsampling
    position = np.clip(np.floor(full / downsampling), 0, shapes[level] - 1).astype(int)
    ends = shapes[level][axes]
    rows, columns = (_scaled(part, 1 / by, end) for part, by, end in zip(plane.extent, ratio, ends, strict=True))
    window = (rows, columns) if plane.window is not None else None
    return ImagePlane(
        plane.layer,
        plane.layer.data[level],
        plane.axes,
        tuple(position.tolist()),
        tuple(downsampling.tolist()),
        window,
    )


def _averaged(plane: ImagePlane, factor: float) -> ImagePlane:
    """One pixel for each block of pixels."""
    step = int(factor)
    downsampling = [by * step if axis in plane.axes else by for axis, by in enumerate(plane.downsampling)]
    rows, columns = (_scaled(part, 1 / step, -(-part.stop // step)) for part in plane.extent)
    window = (rows, columns) if plane.window is not None else None
    return replace(plane, downsampling=tuple(downsampling), window=window, step=plane.step * step)


def _scaled(part: slice, factor: float, end: int) -> slice:
    """The pixels of a coarser grid, which has `end` of them, that cover `part`."""
    first, last = int(np.floor(part.start * factor + 1e-6)), int(np.ceil(part.stop * factor - 1e-6))
    return slice(first, min(last, int(end)))
