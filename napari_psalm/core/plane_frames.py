"""The slices of an image layer along one axis, as the frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.image_planes import ImagePlane
from psalm.errors import ImageError
from psalm.images import contrast_limits, to_rgb8

if TYPE_CHECKING:
    from napari.components import ViewerModel


class PlaneFrames:
    """Reads one slice at a time, of whatever kind of array; all get the contrast of the first, middle and last one.

    Parameters
    ----------
    plane : ImagePlane
        One of the slices.
    axis : int
        The axis of the image along which the others lie.
    """

    def __init__(self, plane: ImagePlane, axis: int) -> None:
        self._plane, self.axis = plane, axis
        self._limits: tuple[float, float] | None = None

    def __len__(self) -> int:
        return self._plane.stack_shape[self.axis]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if self._limits is None:
            found = [contrast_limits(self.at(i).read()) for i in sorted({0, len(self) // 2, len(self) - 1})]
            self._limits = min(low for low, _ in found), max(high for _, high in found)
        return to_rgb8(self.at(index).read(), self._limits)

    @property
    def names(self) -> Sequence[str]:
        """Numbered names."""
        return [f"{self._plane.layer.name} {i}" for i in range(len(self))]

    def at(self, index: int) -> ImagePlane:
        """The plane of a slice."""
        position = list(self._plane.position)
        position[self.axis] = index
        return replace(self._plane, position=tuple(position))


def sliding_axes(plane: ImagePlane) -> list[int]:
    """The axes of an image along which it can be gone through, those with one slice left out."""
    return [axis for axis, n in enumerate(plane.stack_shape) if axis not in plane.axes and n > 1]


def choose_axis(viewer: ViewerModel, plane: ImagePlane) -> int:
    """The axis whose slider was moved last, or else the longest one.

    Raises
    ------
    ImageError
        When the image has one slice only.
    """
    axes = sliding_axes(plane)
    if not axes:
        raise ImageError(f"{plane.layer.name!r} is one picture: open a stack or a video to follow objects through it.")
    last = viewer.dims.last_used - (viewer.dims.ndim - plane.ndim)
    return last if last in axes else max(axes, key=lambda axis: plane.stack_shape[axis])


def set_slice(viewer: ViewerModel, frames: PlaneFrames, index: int) -> None:
    """Put the slider on a slice."""
    plane = frames.at(index)
    world = plane.layer.data_to_world((np.asarray(plane.position) + 0.5) * plane.downsampling - 0.5)
    viewer.dims.set_point(frames.axis + viewer.dims.ndim - plane.ndim, float(world[frames.axis]))
