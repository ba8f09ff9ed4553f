"""The slice of an image layer that the viewer shows: its pixels, and where they are in the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psalm.errors import ImageError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

LARGEST_PLANE = 4096 * 4096
"""Pixels of the finest pyramid level that is read; the model's own image is far smaller."""


@dataclass(frozen=True)
class ImagePlane:
    """One 2-D plane of an image layer, at one level of its pyramid.

    Parameters
    ----------
    layer : napari.layers.Image
        The image.
    source : array-like
        The whole array of the level; it may be lazy.
    axes : (int, int)
        The axes of `source` that are shown as rows and columns.
    position : tuple of int
        Index along every spatial axis of `source`; meaningless for `axes`.
    downsampling : tuple of float
        Pixels of the image per pixel of the level, along every spatial axis.
    """

    layer: Image
    source: Any
    axes: tuple[int, int]
    position: tuple[int, ...]
    downsampling: tuple[float, ...]

    @property
    def ndim(self) -> int:
        """Number of spatial axes of the image."""
        return len(self.position)

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Shape of the whole level without colour: the shape of a Labels layer for it."""
        return tuple(int(length) for length in self.source.shape[: len(self.position)])

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the plane in pixels."""
        return self.stack_shape[self.axes[0]], self.stack_shape[self.axes[1]]

    @property
    def slicer(self) -> tuple[int | slice, ...]:
        """Index of the plane in an array with the axes of the level."""
        return tuple(slice(None) if i in self.axes else at for i, at in enumerate(self.position))

    def read(self) -> NDArray[Any]:
        """The pixels, (height, width) or (height, width, colour); computes a lazy array."""
        return np.asarray(self.cut(self.source))

    def cut(self, array: Any) -> Any:
        """This plane of an array with the axes of the level; a view where the array can give one."""
        plane = array[self.slicer]
        return plane if self.axes[0] < self.axes[1] else plane.swapaxes(0, 1)

    def indices(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Index arrays into the level for pixels of the plane."""
        arrays = [np.full(len(rows), at, dtype=np.int64) for at in self.position]
        arrays[self.axes[0]], arrays[self.axes[1]] = rows, columns
        return tuple(arrays)

    def from_layer(self, layer: Layer, coordinates: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Where data coordinates of another layer lie on this plane, by way of the world.

        Parameters
        ----------
        layer : napari.layers.Layer
            The layer that the coordinates belong to.
        coordinates : (N, layer.ndim) array
            Data coordinates; integers are pixel centres.

        Returns
        -------
        points : (N, 2) array
            (row, column) on this plane; integers are pixel centres.
        here : (N,) array of bool
            Whether the coordinate belongs to this slice. Axes that the layer does not have are free.
        """
        matrix, offset = _affine(layer, self.layer)
        points = np.asarray(coordinates, dtype=np.float64).reshape(-1, layer.ndim) @ matrix.T + offset
        points = (points + 0.5) / np.asarray(self.downsampling) - 0.5
        first_shared = max(len(self.position) - layer.ndim, 0)
        fixed = [i for i in range(first_shared, len(self.position)) if i not in self.axes]
        here = (np.abs(points[:, fixed] - np.asarray(self.position)[fixed]) <= 0.5 + 1e-6).all(axis=1)
        return points[:, list(self.axes)], here

    def sample(self, labels: Labels) -> NDArray[np.int64]:
        """The values of a Labels layer at each pixel of this plane, (height, width); 0 outside the layer."""
        matrix, offset = _affine(self.layer, labels)
        start = np.asarray(self.position, dtype=np.float64)
        start[list(self.axes)] = 0
        scale = np.asarray(self.downsampling)
        origin = matrix @ ((start + 0.5) * scale - 0.5) + offset
        rows, columns = (matrix[:, axis] * scale[axis] for axis in self.axes)
        grid_rows, grid_columns = np.ogrid[: self.shape[0], : self.shape[1]]
        index, inside = [], np.ones(self.shape, dtype=bool)
        for axis, length in enumerate(labels.data.shape):
            at = np.rint(origin[axis] + rows[axis] * grid_rows + columns[axis] * grid_columns).astype(np.int64)
            inside &= (at >= 0) & (at < length)
            index.append(np.clip(at, 0, length - 1))
        return np.where(inside, np.asarray(labels.data)[tuple(index)], 0).astype(np.int64)

    def placement(self) -> dict[str, Any]:
        """Keyword arguments that put a layer with the shape of the level where the image is."""
        from napari.utils.transforms import Affine

        image = self.layer
        turned = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear)
        shift = np.asarray(turned((np.asarray(self.downsampling) - 1) / 2))
        return {
            "scale": np.asarray(image.scale) * self.downsampling,
            "translate": np.asarray(image.translate) + shift,
            "rotate": image.rotate,
            "shear": image.shear,
            "affine": image.affine,
            "axis_labels": image.axis_labels,
            "units": image.units,
        }


def visible_plane(viewer: ViewerModel, layer: Image | None) -> ImagePlane:
    """The plane of `layer` that the viewer shows.

    Raises
    ------
    ImageError
        When there is no image, the view is 3-D, or the slider stands outside the image.
    """
    if layer is None:
        raise ImageError("There is no image: open one, or take one from File > Open Sample.")
    if viewer.dims.ndisplay != 2:
        raise ImageError("The viewer shows 3-D: go back to 2-D with the cube button below the layer list.")
    missing = viewer.dims.ndim - layer.ndim
    first, second = (axis - missing for axis in viewer.dims.displayed)
    if min(first, second) < 0:
        raise ImageError(f"The viewer shows an axis that {layer.name!r} does not have: undo the roll of the axes.")
    source, downsampling = _level(layer)
    full = np.asarray(layer.world_to_data(np.asarray(viewer.dims.point)))
    position = np.rint((full + 0.5) / downsampling - 0.5).astype(int)
    for axis, at in enumerate(position):
        if axis not in (first, second) and not 0 <= at < source.shape[axis]:
            raise ImageError(f"The slider of axis {axis} stands outside {layer.name!r}: move it back.")
    return ImagePlane(layer, source, (first, second), tuple(position.tolist()), tuple(downsampling.tolist()))


def _level(layer: Image) -> tuple[Any, NDArray[np.float64]]:
    """The array to read, and its downsampling: of a pyramid the finest level that is not too large."""
    if not layer.multiscale:
        return layer.data, np.ones(layer.ndim)
    shapes = np.asarray(layer.level_shapes)[:, : layer.ndim]
    sizes = shapes[:, -2:].prod(axis=1)
    level = next((i for i, size in enumerate(sizes) if size <= LARGEST_PLANE), len(sizes) - 1)
    return layer.data[level], shapes[0] / shapes[level]


def _affine(source: Layer, target: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset from data coordinates of `source` to those of `target`, through the world."""

    def convert(position: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(target.world_to_data(np.asarray(source.data_to_world(position))), dtype=np.float64)

    offset = convert(np.zeros(source.ndim))
    columns = [convert(unit) - offset for unit in np.eye(source.ndim)]
    return np.stack(columns, axis=1), offset
