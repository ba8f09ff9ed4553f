"""Followed objects on their way: shown in a layer of their own, then written as one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.plane_frames import PlaneFrames
from napari_psalm.core.preview_layer import NAME

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from psalm.video import TrackedFrame

_WATCHED = 1000  # pixels that tell whether a track was taken back


@dataclass(frozen=True)
class WrittenTrack:
    """Some of the pixels that followed objects changed, and what was there before."""

    layer: Labels
    index: tuple[NDArray[np.int64], ...] = field(repr=False)
    before: NDArray[Any] = field(repr=False)

    @property
    def undone(self) -> bool:
        """Whether all is as it was before."""
        return bool((self.layer.data[self.index] == self.before).all())


class TrackPreview:
    """A Labels layer on the grid of the objects; of its slices only those that are found take memory.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    layer : AnnotationLayer
        Holds the objects that are followed.
    frames : PlaneFrames
    """

    def __init__(self, viewer: ViewerModel, layer: AnnotationLayer, frames: PlaneFrames) -> None:
        from napari.layers import Labels

        self._viewer, self._frames = viewer, frames
        plane = frames.at(0)
        self.image: Image = plane.layer
        self.ndim = plane.ndim
        self.layer: Labels = Labels(
            np.zeros(plane.stack_shape, dtype=np.uint32),
            name=NAME,
            opacity=0.75,
            colormap=layer.layer.colormap,
            metadata={"psalm": {"preview": True}},
            **plane.placement(),
        )
        self.layer.editable = False
        active = viewer.layers.selection.active
        viewer.layers.insert(viewer.layers.index(layer.layer) + 1, self.layer)
        viewer.layers.selection.active = active

    def show(self, frame: TrackedFrame) -> None:
        """Draw the objects of a slice."""
        if self.layer in self._viewer.layers:
            self._frames.at(frame.index).cut(self.layer.data)[...] = frame.to_labels()
            self.layer.refresh(extent=False)

    def remove(self) -> None:
        """Take the layer away."""
        if self.layer in self._viewer.layers:
            self._viewer.layers.remove(self.layer)


def write_track(
    layer: AnnotationLayer, frames: PlaneFrames, found: Sequence[TrackedFrame], ids: Sequence[int]
) -> WrittenTrack | None:
    """Write followed objects as one step of the layer's undo history.

    An object keeps its id in every slice. What it had in a slice before makes way; other objects keep their pixels.

    Returns
    -------
    WrittenTrack, or None when nothing has changed

    Raises
    ------
    AnnotationError
        When the objects are protected.
    """
    indices, before, after = [], [], []
    for frame in found:
        plane = frames.at(frame.index)
        old = np.asarray(plane.cut(layer.layer.data))
        new = np.where(np.isin(old, list(ids)), 0, old)
        painted = frame.to_labels().astype(new.dtype)
        np.copyto(new, painted, where=(painted > 0) & (new == 0))
        changed = np.nonzero(old != new)
        indices.append(plane.indices(*changed))
        before.append(old[changed])
        after.append(new[changed])
    if not sum(map(len, after)):
        return None
    index = tuple(np.concatenate(axis) for axis in zip(*indices, strict=True))
    watched = np.linspace(0, len(index[0]) - 1, _WATCHED).astype(int)
    written = WrittenTrack(layer.layer, tuple(axis[watched] for axis in index), np.concatenate(before)[watched])
    layer.extend(index, np.concatenate(after), ids)
    return written
