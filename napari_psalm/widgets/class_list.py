"""The class list: a text field with one class per line, and a swatch with its colour and key in front of each."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QPoint, Qt, Signal
from qtpy.QtGui import QColor, QFocusEvent
from qtpy.QtWidgets import QColorDialog, QComboBox, QFileDialog, QLabel, QMenu, QPushButton, QWidget

from napari_psalm.core.category_table import FILE_KINDS, CategoryTable
from napari_psalm.core.class_files import write_class_file
from napari_psalm.widgets.parts import column, row
from napari_psalm.widgets.swatch_editor import Swatch, SwatchEditor
from psalm.conditions import Task
from psalm.errors import ConditionError, OutputError
from psalm.known_names import KnownNames

_TASKS = (
    ("each object", Task.INSTANCE, "One mask per object: cells, coins, people"),
    ("everything", Task.PANOPTIC, "Objects and regions together; each pixel belongs to one of them at most"),
    ("areas of a class", Task.SEMANTIC, "One mask per class"),
)


class ClassList(QWidget):
    """Edits a `CategoryTable` as text; colours and keys are chosen at the swatches."""

    changed = Signal()
    """The classes are others; also in the middle of typing."""
    edited = Signal()
    """The list is finished for now: the cursor left it, or a file, colour or key was chosen."""
    problem = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._table = CategoryTable()
        self._known = KnownNames()
        self.editor = _Editor()
        self.editor.setPlaceholderText("coin\nnucleus / nuclei\nsky (stuff)")
        self.editor.setToolTip(
            "What to look for: one class per line.\n"
            "Write (stuff) after what cannot be counted, and other names of a class after a slash: nucleus / nuclei.\n"
            "Click a swatch for the colour and the key of a class."
        )
        self.editor.textChanged.connect(self._read)
        self.editor.left.connect(self.edited)
        self.editor.swatch_clicked.connect(self._offer)
        self.task = QComboBox()
        for i, (text, _, tooltip) in enumerate(_TASKS):
            self.task.addItem(text)
            self.task.setItemData(i, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.task.setToolTip("What gets a mask: each object, everything at once, or the whole area of each class")
        load, save = QPushButton("Load…"), QPushButton("Save…")
        load.setToolTip("Read a class list from a text, CSV or JSON file, or the categories of a COCO file")
        load.clicked.connect(lambda _checked: self._choose_file())
        save.setToolTip("Keep the class list as a file: JSON with ids, colours and keys, or plain text")
        save.clicked.connect(lambda _checked: self._choose_target())
        self.setLayout(column(self.editor, row(QLabel("Mark"), self.task, load, save, stretch=(0, 1, 0, 0))))

    @property
    def table(self) -> CategoryTable:
        """The categories of the last text that could be read."""
        return self._table

    @property
    def chosen_task(self) -> Task:
        """Instance, panoptic or semantic."""
        return _TASKS[self.task.currentIndex()][1]

    @property
    def known(self) -> KnownNames:
        """What the model was trained to find by name."""
        return self._known

    @property
    def unknown(self) -> tuple[str, ...]:
        """The classes that the model was not trained on."""
        return self._table.unknown(self._known)

    def set_known_names(self, known: KnownNames) -> None:
        """Underline the classes that a model was not trained on."""
        self._known = known
        self._draw()

    def set_table(self, table: CategoryTable) -> None:
        """Show other categories."""
        self._table = table
        if self.editor.toPlainText() == table.to_text():
            self._draw()
        else:
            self.editor.setPlainText(table.to_text())
        self.changed.emit()

    def load(self, path: str) -> None:
        """Read a file; what is wrong with it goes to `problem`."""
        try:
            self.set_table(CategoryTable.from_file(path))
        except ConditionError as error:
            self.problem.emit(str(error))
        else:
            self.edited.emit()

    def save(self, path: str) -> None:
        """Write the list; what is wrong goes to `problem`."""
        try:
            write_class_file(path, self._table)
        except OutputError as error:
            self.problem.emit(str(error))

    def restyle(self, name: str, **changes: Any) -> None:
        """Give a class another colour or key; see `CategoryTable.styled`."""
        self.set_table(self._table.styled(name, **changes))
        self.edited.emit()

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load a class list", "", FILE_KINDS)
        if path:
            self.load(path)

    def _choose_target(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the class list", "classes.json", FILE_KINDS)
        if path:
            self.save(path)

    def _offer(self, line: int, place: QPoint) -> None:
        """A menu at a swatch: the colour, and the key."""
        names = self._names_by_line()
        name = names[line] if line < len(names) else ""
        if not name:
            return
        menu = QMenu(self)
        menu.addAction(f"Colour of {name}…", lambda: self._choose_colour(name))
        keys = menu.addMenu("Key")
        taken = {self._table.shortcut_of(other): other for other in self._table.names}
        for digit in range(1, 10):
            owner = taken.get(digit, "")
            text = f"{digit}" + (f"   (now {owner})" if owner and owner != name else "")
            action = keys.addAction(text, lambda digit=digit: self.restyle(name, shortcut=digit)) if keys else None
            if action is not None:
                action.setCheckable(True)
                action.setChecked(owner == name)
        menu.exec(place)

    def _choose_colour(self, name: str) -> None:
        colour = QColorDialog.getColor(QColor.fromRgbF(*self._table.colour_of(name)), self, f"Colour of {name}")
        if colour.isValid():
            red, green, blue, _ = colour.getRgbF()
            self.restyle(name, colour=(float(red or 0), float(green or 0), float(blue or 0)))

    def _read(self) -> None:
        try:
            self._table = CategoryTable.from_text(self.editor.toPlainText(), self._table)
        except ConditionError as error:
            self.problem.emit(str(error))
            return
        self._draw()
        self.changed.emit()

    def _draw(self) -> None:
        table = self._table
        self.editor.set_swatches(
            [Swatch(table.colour_of(name), table.shortcut_of(name)) if name else None for name in self._names_by_line()]
        )
        strange = set(self.unknown)
        self.editor.set_remarks(
            [self._known.warning([name]) if name in strange else "" for name in self._names_by_line()]
        )

    def _names_by_line(self) -> list[str]:
        """The first class of each line of the text, empty where a line has none."""
        lines = self.editor.toPlainText().split("\n")
        return [next(iter(CategoryTable.from_text(line).names), "") for line in lines]


class _Editor(SwatchEditor):
    left = Signal()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self.left.emit()
