"""The layer that shows answers until they are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_psalm.core.questions import Question

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

NAME = "preview"


class PreviewLayer:
    """A Labels layer over the part of the image that was looked at; hidden while there is nothing to show.

    To put a layer into the window takes napari far longer than to fill one that is there, so one layer serves as long
    as the answers are about the same pixels.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None
        self._place: tuple[object, ...] = ()

    def take(self, question: Question) -> Labels:
        """An empty layer for an answer, not seen before it is shown."""
        place = _place(question)
        if self._layer is None or self._layer not in self._viewer.layers or place != self._place:
            self.remove()
            self._layer, self._place = _make(question), place
        self._layer.data[...] = 0
        return self._layer

    def show(self, layer: Labels, question: Question) -> None:
        """Show a layer that was filled, above what the question is about."""
        layers = self._viewer.layers
        below = [question.seen.layer, question.request.result]
        above = max((layers.index(each) for each in below if each in layers), default=-1) + 1
        if layer not in layers:
            active = layers.selection.active
            layers.insert(above, layer)
            layers.selection.active = active
            layer.editable = False
            return
        if layers.index(layer) < above:
            layers.move(layers.index(layer), above)
        if layer.visible:
            layer.refresh(extent=False)
        layer.visible = True

    def hide(self) -> None:
        """Show nothing."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._layer.visible = False

    def forget(self, layer: Layer) -> None:
        """Go with the image."""
        if self._place and self._place[0] is layer:
            self.remove()

    def remove(self) -> None:
        """Take the layer out of the window."""
        layer, self._layer, self._place = self._layer, None, ()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)


def _place(question: Question) -> tuple[object, ...]:
    """The image and where on it a layer lies."""
    seen = question.seen
    placement = ((name, np.asarray(value).tolist()) for name, value in seen.window_placement().items())
    return (seen.layer, seen.window_shape, *placement)


def _make(question: Question) -> Labels:
    from napari.layers import Labels

    seen = question.seen
    layer = Labels(np.zeros(seen.window_shape, dtype=np.uint32), name=NAME, opacity=0.75, **seen.window_placement())
    layer.metadata["psalm"] = {"preview": True}
    return layer
