"""The objects of the result: a table, and what can be done with the selected ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_psalm.core import object_edits
from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.widgets.object_table import ObjectTable
from napari_psalm.widgets.parts import SPACE, column, row
from psalm.errors import PSALMError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

_ALL = "all classes"
_EDITS = (
    ("Delete", "delete", "Take the selected objects away"),
    ("Merge", "merge", "Make one object of the selected ones; it takes the class of the largest"),
    ("Split", "split", "Make an object of every connected part"),
    ("Fill holes", "fill_holes", "Fill what an object encloses and no other object has"),
    ("Largest part", "keep_largest", "Keep only the largest connected part"),
)


class ObjectPanel(QWidget):
    """Shows the objects of a layer, selects them on the canvas, and edits them.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer, whose camera goes to a selected object.
    image : callable
        Gives the image under the objects, or None.
    say : callable
        Receives a text and its level: what was done, or went wrong.
    """

    export_wanted = Signal()

    def __init__(self, viewer: ViewerModel, image: Callable[[], Image | None], say: Callable[[str, str], None]) -> None:
        super().__init__()
        self._viewer, self._say = viewer, say
        self._layer: AnnotationLayer | None = None
        self._ours = False
        self.count = QLabel()
        self.filter = QComboBox()
        self.filter.setToolTip("Show the objects of one class only")
        self.table = ObjectTable(image)
        self.category = QComboBox()
        self.category.setToolTip("The class to give to the selected objects")
        self.give = QPushButton("Set class")
        self.give.setToolTip("Give the selected objects this class")
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Take back the last change of the result: a prediction, an edit, or a stroke of yours")
        self.redo = QPushButton("Redo")
        self.redo.setToolTip("Do again what was taken back")
        self.export = QPushButton("Export COCO…")
        self.export.setToolTip("Write the objects to a COCO file; File > Save Selected Layers does the same")
        self.edits = {name: QPushButton(text) for text, name, _ in _EDITS}
        self._lay_out()
        self._connect()
        self.show_layer(None)

    @property
    def layer(self) -> AnnotationLayer | None:
        """The layer that is shown."""
        return self._layer

    @property
    def ids(self) -> list[int]:
        """The selected objects: the rows of the table, or else the object selected on the canvas."""
        chosen = self.table.ids
        if not chosen and self._layer is not None and self._layer.layer.selected_label in self._layer.index:
            chosen = [int(self._layer.layer.selected_label)]
        return chosen

    def show_layer(self, layer: AnnotationLayer | None) -> None:
        """Follow another layer."""
        self.disconnect_layer()
        self._layer = layer
        if layer is not None:
            layer.changed.connect(self._on_changed)
            layer.layer.events.selected_label.connect(self._on_canvas)
        self.table.objects.show(layer)
        self.refresh()

    def disconnect_layer(self) -> None:
        """Stop following the layer."""
        if self._layer is not None:
            self._layer.changed.disconnect(self._on_changed)
            self._layer.layer.events.selected_label.disconnect(self._on_canvas)
            self._layer = None

    def set_classes(self, names: Sequence[str]) -> None:
        """Offer these classes."""
        for combo, texts in ((self.category, list(names)), (self.filter, [_ALL, *names])):
            before = combo.currentText()
            combo.blockSignals(True)
            combo.clear()
            combo.addItems(texts)
            combo.setCurrentIndex(max(combo.findText(before) if before in texts[:-1] else 0, 0))
            combo.blockSignals(False)
        self._filter()

    def refresh(self, _change: Any = None) -> None:
        """Show what the layer holds now."""
        self.table.objects.update()
        self._count()

    def set_class(self, name: str) -> None:
        """Give the selected objects a class; what is painted next on empty ground gets it too."""
        if self._layer is None:
            return
        self._layer.next_category = name
        self.category.setCurrentText(name)
        if self.ids:
            self._do(lambda layer, ids: object_edits.set_category(layer, ids, name), f"{{}} set to {name}.")
        else:
            self._say(f"What you paint next is a {name}.", "info")

    def edit(self, name: str) -> None:
        """Delete, merge, split, fill_holes or keep_largest the selected objects."""
        done = {
            "delete": "{} deleted.",
            "merge": "{} merged into one.",
            "split": "{} split into parts.",
            "fill_holes": "Holes of {} filled.",
            "keep_largest": "Small parts of {} taken away.",
        }
        self._do(getattr(object_edits, name), done[name])

    def take_back(self) -> None:
        """Undo the last change of the layer."""
        if self._layer is not None:
            self._layer.layer.undo()

    def do_again(self) -> None:
        """Redo what was undone."""
        if self._layer is not None:
            self._layer.layer.redo()

    def step(self, by: int) -> None:
        """Select the next object of the table, or an earlier one."""
        ids = self.table.objects.ids
        if not ids:
            return
        chosen = self.table.ids
        row = self.table.objects.row_of(chosen[0]) if chosen else None
        label_id = ids[0 if row is None else (row + by) % len(ids)]
        self.table.choose([label_id])
        self._on_rows([label_id])

    def _do(self, edit: Callable[[AnnotationLayer, list[int]], Any], text: str) -> None:
        layer, ids = self._layer, self.ids
        if layer is None:
            return
        try:
            result = edit(layer, ids)
            if layer.categories is not None:
                layer.recolour(layer.categories)
        except PSALMError as error:
            self._say(str(error), "problem")
            return
        self.select(result if isinstance(result, list) else [result] if text.startswith("{} merged") else ids)
        self._say(text.format(f"Object {ids[0]}" if len(ids) == 1 else f"{len(ids)} objects"), "good")

    def select(self, ids: Sequence[int]) -> None:
        """Select objects in the table and on the canvas; the view stays."""
        self.table.choose(ids, scroll=False)
        present = [label_id for label_id in ids if self._layer is not None and label_id in self._layer.index]
        if present and self._layer is not None:
            self._layer.layer.selected_label = present[0]

    def _on_changed(self, ids: frozenset[int]) -> None:
        self.table.objects.update(ids)
        self._count()

    def _on_rows(self, ids: list[int]) -> None:
        """Select the row's object on the canvas and bring it into view."""
        layer = self._layer
        if layer is None or not ids or ids[0] not in layer.index:
            return
        self._ours = True
        layer.layer.selected_label = ids[0]
        self._ours = False
        _bring_into_view(self._viewer, layer, _place(self._viewer, layer, ids[0]))

    def _on_canvas(self, _event: Any = None) -> None:
        if self._layer is None or self._ours:
            return
        label_id = int(self._layer.layer.selected_label)
        if label_id in self._layer.index and label_id not in self.table.ids:
            self.table.choose([label_id])

    def _filter(self) -> None:
        name = self.filter.currentText()
        self.table.objects.filter(None if name in ("", _ALL) else name)

    def _count(self) -> None:
        on = self._layer is not None
        for widget in (self.give, self.category, self.undo, self.redo, self.export, self.filter, *self.edits.values()):
            widget.setEnabled(on)
        self.count.setText("No result yet." if self._layer is None else _count_text(self._layer))

    def _connect(self) -> None:
        self.table.selected.connect(self._on_rows)
        self.filter.currentIndexChanged.connect(lambda _index: self._filter())
        self.give.clicked.connect(lambda _checked: self.set_class(self.category.currentText()))
        self.undo.clicked.connect(lambda _checked: self.take_back())
        self.redo.clicked.connect(lambda _checked: self.do_again())
        self.export.clicked.connect(lambda _checked: self.export_wanted.emit())
        for name, button in self.edits.items():
            button.clicked.connect(lambda _checked, name=name: self.edit(name))

    def _lay_out(self) -> None:
        buttons = QGridLayout()
        buttons.setSpacing(SPACE)
        for i, (_, name, tooltip) in enumerate(_EDITS):
            self.edits[name].setToolTip(tooltip)
            buttons.addWidget(self.edits[name], i // 3, i % 3)
        buttons.addWidget(self.export, 1, 2)
        layout = column(
            row(self.count, self.filter, stretch=(1, 0)),
            self.table,
            row(self.give, self.category, self.undo, self.redo, stretch=(0, 1, 0, 0)),
            buttons,
        )
        self.setLayout(layout)


def _place(viewer: ViewerModel, layer: AnnotationLayer, label_id: int) -> list[float]:
    """The middle of an object: on the slice that is shown when it is there, or else on the nearest one."""
    box, ndim = layer.index.box(label_id), layer.layer.ndim
    if tuple(viewer.dims.displayed) == (viewer.dims.ndim - 2, viewer.dims.ndim - 1):
        shown = layer.layer.world_to_data(viewer.dims.point[viewer.dims.ndim - ndim :])
        at, place = layer.index.nearest(label_id, [float(i) for i in shown[:-2]])
        box = (*(slice(i, i + 1) for i in at), *place)
    return [(axis.start + axis.stop - 1) / 2 for axis in box]


def _bring_into_view(viewer: ViewerModel, layer: AnnotationLayer, middle: Sequence[float]) -> None:
    """Move the sliders to an object's slice, and the camera to the object, without another zoom."""
    world = [float(at) for at in layer.layer.data_to_world(middle)]
    offset = viewer.dims.ndim - len(world)
    displayed = viewer.dims.displayed
    for axis, at in enumerate(world, start=offset):
        if axis not in displayed:
            viewer.dims.set_point(axis, at)
    centre = list(viewer.scene.camera.center)
    for i, axis in enumerate(displayed):
        if axis >= offset:
            centre[i - len(displayed)] = world[axis - offset]
    viewer.scene.camera.center = tuple(centre)


def _count_text(layer: AnnotationLayer) -> str:
    counts: dict[str, int] = {}
    for label_id in layer.ids:
        name = layer.facts(label_id).category
        counts[name] = counts.get(name, 0) + 1
    if not counts:
        return "No object yet."
    most = sorted(counts.items(), key=lambda item: -item[1])
    parts = [f"{name}: {number}" for name, number in most[:3]]
    return ", ".join(parts) + (f" and {len(counts) - 3} more classes" if len(counts) > 3 else "")
