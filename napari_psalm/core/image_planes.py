"""The slice of an image layer that the viewer shows: its pixels, and where they are in the world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_psalm.core.block_means import block_means
from psalm.errors import ImageError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

LARGEST_STACK = 2**27
"""Pixels of the finest pyramid level that gets a Labels layer, which is half a gigabyte of memory at the most."""


@dataclass(frozen=True)
class ImagePlane:
    """One 2-D plane of an image layer, or a window of it, at one level of its pyramid.

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
        Pixels of the image per pixel of the plane, along every spatial axis.
    window : (slice, slice), optional
        Rows and columns of the plane that count; all when not given.
    step : int
        Pixels of `source` per pixel of the plane, along its rows and columns.
    """

    layer: Image
    source: Any
    axes: tuple[int, int]
    position: tuple[int, ...]
    downsampling: tuple[float, ...]
    window: tuple[slice, slice] | None = None
    step: int = 1

    @property
    def ndim(self) -> int:
        """Number of spatial axes of the image."""
        return len(self.position)

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Shape of the whole level without colour: the shape of a Labels layer for it."""
        lengths = [int(length) for length in self.source.shape[: self.ndim]]
        return tuple(-(-n // self.step) if axis in self.axes else n for axis, n in enumerate(lengths))

    @property
    def extent(self) -> tuple[slice, slice]:
        """Rows and columns that count, with definite ends."""
        if self.window is not None:
            return self.window
        return slice(0, self.stack_shape[self.axes[0]]), slice(0, self.stack_shape[self.axes[1]])

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels of what counts."""
        rows, columns = self.extent
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def corner(self) -> NDArray[np.int64]:
        """(row, column) of the first pixel that counts."""
        return np.array([part.start for part in self.extent], dtype=np.int64)

    @property
    def slicer(self) -> tuple[int | slice, ...]:
        """Index of the plane in an array with the axes and the shape of `stack_shape`."""
        index: list[int | slice] = list(self.position)
        for axis, part in zip(self.axes, self.window or (slice(None), slice(None)), strict=True):
            index[axis] = part
        return tuple(index)

    def within(self, rows: slice, columns: slice) -> ImagePlane:
        """A window of this plane; the ends are counted from its first pixel."""
        first, second = self.corner.tolist()
        window = (
            slice(first + rows.start, first + rows.stop),
            slice(second + columns.start, second + columns.stop),
        )
        return replace(self, window=window)

    def read(self) -> NDArray[Any]:
        """The pixels, (height, width) or (height, width, colour); computes a lazy array."""
        if self.step == 1:
            return _computed(self.cut(self.source))
        fine = [slice(part.start * self.step, part.stop * self.step) for part in self.extent]
        return block_means(_computed(replace(self, window=(fine[0], fine[1]), step=1).cut(self.source)), self.step)

    def cut(self, array: Any) -> Any:
        """This plane of an array with the shape of `stack_shape`; a view where the array can give one."""
        plane = array[self.slicer]
        return plane if self.axes[0] < self.axes[1] else plane.swapaxes(0, 1)

    def indices(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Index arrays into the level for pixels of the plane."""
        arrays = [np.full(len(rows), at, dtype=np.int64) for at in self.position]
        arrays[self.axes[0]], arrays[self.axes[1]] = rows + self.corner[0], columns + self.corner[1]
        return tuple(arrays)

    def centres_on(self, other: ImagePlane) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the rows and the columns of this plane lie on another plane of the same slice, in its pixels."""
        places = []
        for i, axis in enumerate(self.axes):
            full = (np.arange(self.shape[i]) + self.corner[i] + 0.5) * self.downsampling[axis]
            places.append(full / other.downsampling[axis] - 0.5 - other.corner[i])
        return places[0], places[1]

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
        points[:, list(self.axes)] -= self.corner
        first_shared = max(len(self.position) - layer.ndim, 0)
        fixed = [i for i in range(first_shared, len(self.position)) if i not in self.axes]
        here = (np.abs(points[:, fixed] - np.asarray(self.position)[fixed]) <= 0.5 + 1e-6).all(axis=1)
        return points[:, list(self.axes)], here

    def sample(self, labels: Labels) -> NDArray[np.int64]:
        """The values of a Labels layer at each pixel of this plane, (height, width); 0 outside the layer."""
        matrix, offset = _affine(self.layer, labels)
        start = np.asarray(self.position, dtype=np.float64)
        start[list(self.axes)] = self.corner
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
        return self._placement(np.zeros(self.ndim))

    def window_placement(self) -> dict[str, Any]:
        """Keyword arguments that put a layer with the shape of `window_shape` where this plane is."""
        start = np.asarray(self.position, dtype=np.float64)
        start[list(self.axes)] = self.corner
        return self._placement(start)

    @property
    def window_shape(self) -> tuple[int, ...]:
        """Shape of this plane as a stack with one slice."""
        lengths = [1] * self.ndim
        lengths[self.axes[0]], lengths[self.axes[1]] = self.shape
        return tuple(lengths)

    def _placement(self, first: NDArray[np.float64]) -> dict[str, Any]:
        """Where a layer belongs whose first pixel is the pixel `first` of the level."""
        from napari.utils.transforms import Affine

        image = self.layer
        turned = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear)
        shift = np.asarray(turned((first + 0.5) * np.asarray(self.downsampling) - 0.5))
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
    """The array to annotate, and its downsampling: of a pyramid the finest level that is not too large."""
    if not layer.multiscale:
        return layer.data, np.ones(layer.ndim)
    shapes = np.asarray(layer.level_shapes)[:, : layer.ndim]
    sizes = shapes.astype(np.float64).prod(axis=1)
    level = next((i for i, size in enumerate(sizes) if size <= LARGEST_STACK), len(sizes) - 1)
    return layer.data[level], shapes[0] / shapes[level]


def _affine(source: Layer, target: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset from data coordinates of `source` to those of `target`, through the world."""

    def convert(position: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(target.world_to_data(np.asarray(source.data_to_world(position))), dtype=np.float64)

    offset = convert(np.zeros(source.ndim))
    columns = [convert(unit) - offset for unit in np.eye(source.ndim)]
    return np.stack(columns, axis=1), offset


def _computed(array: Any) -> NDArray[Any]:
    """The pixels of a lazy array; not through napari's cache for dask, which two threads at once would break."""
    if hasattr(array, "__dask_graph__"):
        array = array.compute(scheduler="threads", callbacks=[])
    return np.asarray(array)
