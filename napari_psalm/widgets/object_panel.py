"""What to do with the objects of the result: change a class, export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QWidget

from napari_psalm.widgets.parts import column, row

if TYPE_CHECKING:
    from napari.layers import Labels


class ObjectPanel(QWidget):
    """Shows how many objects the result holds; gives the selected one a class; asks for the export."""

    class_given = Signal(int, str)
    export_wanted = Signal()
    undo_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layer: Labels | None = None
        self.count = QLabel()
        self.category = QComboBox()
        self.category.setToolTip("The class to give")
        self.give = QPushButton()
        self.give.setToolTip(
            "Give the selected object this class.\nSelect an object with the colour picker of the layer controls (L)."
        )
        self.give.clicked.connect(self._give)
        self.export = QPushButton("Export COCO…")
        self.export.setToolTip("Write the objects to a COCO file; File > Save Selected Layers does the same")
        self.export.clicked.connect(self.export_wanted)
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Take back the last change of the result: a prediction, or a stroke of yours")
        self.undo.clicked.connect(self.undo_wanted)
        buttons = row(self.undo, self.export, stretch=(1, 2))
        layout = column(self.count, row(self.give, self.category, stretch=(0, 1)), buttons)
        self.setLayout(layout)
        self.show_layer(None)

    def show_layer(self, layer: Labels | None) -> None:
        """Follow another result layer."""
        self.disconnect_layer()
        self._layer = layer
        if layer is not None:
            layer.events.selected_label.connect(self.refresh)
            layer.events.features.connect(self.refresh)
        self.refresh()

    def disconnect_layer(self) -> None:
        """Stop following the layer."""
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self.refresh)
            self._layer.events.features.disconnect(self.refresh)
            self._layer = None

    def set_classes(self, names: tuple[str, ...]) -> None:
        """Offer these classes."""
        before = self.category.currentText()
        self.category.clear()
        self.category.addItems(names)
        self.category.setCurrentText(before)

    def refresh(self, event: object = None) -> None:
        """Show what the layer holds now."""
        on = self._layer is not None
        for widget in (self.give, self.category, self.undo, self.export):
            widget.setEnabled(on)
        if self._layer is None:
            self.count.setText("No result yet.")
            self.give.setText("Set object to")
            return
        self.count.setText(_count_text(self._layer))
        self.give.setText(f"Set object {self._layer.selected_label} to")

    def _give(self) -> None:
        if self._layer is not None:
            self.class_given.emit(int(self._layer.selected_label), self.category.currentText())


def _count_text(layer: Labels) -> str:
    table = layer.features
    if "class" not in table or not len(table):
        return "No object yet."
    counts = table["class"].value_counts()
    parts = [f"{number} {name}" for name, number in counts.head(4).items()]
    return ", ".join(parts) + (f" and {len(counts) - 4} more classes" if len(counts) > 4 else "")
