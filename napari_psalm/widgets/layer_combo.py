"""A combo box of the viewer's layers of one kind, which follows them as they come, go and change their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class LayerCombo(QComboBox):
    """Chooses a layer by reference, so that renaming it changes nothing.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    kind : type
        Class of the layers to offer.
    nothing : str
        Text of the first entry, which stands for no layer.
    takes_new : bool
        Choose a layer that is added while none is chosen.
    parent : QWidget, optional
        The Qt parent.
    """

    layer_changed = Signal()

    def __init__(
        self, viewer: ViewerModel, kind: type, nothing: str, takes_new: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._kind = kind
        self._nothing = nothing
        self._takes_new = takes_new
        self._layers: list[Layer | None] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.currentIndexChanged.connect(lambda _index: self.layer_changed.emit())
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._refresh)
        self._refresh()

    def disconnect_layers(self) -> None:
        """Stop following the viewer."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self._refresh)
        for layer in self._layers:
            if layer is not None:
                layer.events.name.disconnect(self._rename)

    @property
    def layer(self) -> Any:
        """The chosen layer or None."""
        return self._layers[self.currentIndex()] if 0 <= self.currentIndex() < len(self._layers) else None

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer of the list; None for no layer."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def _offers(self, layer: Layer) -> bool:
        """Whether a layer is of the kind; the preview, which comes and goes, is no choice."""
        return not layer.metadata.get("psalm", {}).get("preview") and isinstance(layer, self._kind)

    def _refresh(self, event: Any = None) -> None:
        before = self.layer
        old = [layer for layer in self._layers if layer is not None]
        layers: list[Layer] = [layer for layer in reversed(self._viewer.layers) if self._offers(layer)]
        for layer in old:
            if layer not in layers:
                layer.events.name.disconnect(self._rename)
        fresh = [layer for layer in layers if layer not in old]
        for layer in fresh:
            layer.events.name.connect(self._rename)
        self._layers = [None, *layers]
        choice = before if before in layers else None
        if choice is None and self._takes_new:
            choice = fresh[0] if fresh else (layers[0] if before is not None and layers else None)
        with QSignalBlocker(self):
            self.clear()
            self.addItems([self._nothing, *(layer.name for layer in layers)])
            self.setCurrentIndex(self._layers.index(choice))
        if choice != before:
            self.layer_changed.emit()

    def _rename(self, event: Any = None) -> None:
        for i, layer in enumerate(self._layers):
            if layer is not None:
                self.setItemText(i, layer.name)
