"""The class list: a text field with one class per line, and a swatch of each class's colour."""

from __future__ import annotations

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QPlainTextEdit, QPushButton, QWidget

from napari_psalm.core.category_table import FILE_KINDS, CategoryTable, colour_of
from napari_psalm.widgets.parts import column, row
from psalm.conditions import Task
from psalm.errors import ConditionError

_MARGIN = 22
_TASKS = (
    ("each object", Task.INSTANCE, "One mask per object: cells, coins, people"),
    ("everything", Task.PANOPTIC, "Objects and regions together; each pixel belongs to one of them at most"),
    ("areas of a class", Task.SEMANTIC, "One mask per class"),
)


class ClassList(QWidget):
    """Edits a `CategoryTable` as text."""

    changed = Signal()
    problem = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._table = CategoryTable()
        self.editor = SwatchEditor()
        self.editor.setPlaceholderText("coin\ncell\nsky (stuff)")
        self.editor.setToolTip(
            "What to look for: one class per line.\nWrite (stuff) after what cannot be counted, such as sky (stuff)."
        )
        self.editor.textChanged.connect(self._read)
        self.task = QComboBox()
        for i, (text, _, tooltip) in enumerate(_TASKS):
            self.task.addItem(text)
            self.task.setItemData(i, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.task.setToolTip("What gets a mask: each object, everything at once, or the whole area of each class")
        load = QPushButton("Load…")
        load.setToolTip("Read a class list from a text, CSV or JSON file, or the categories of a COCO file")
        load.clicked.connect(self._choose_file)
        layout = column(self.editor, row(QLabel("Mark"), self.task, load, stretch=(0, 1, 0)))
        self.setLayout(layout)

    @property
    def table(self) -> CategoryTable:
        """The categories of the last text that could be read."""
        return self._table

    @property
    def chosen_task(self) -> Task:
        """Instance, panoptic or semantic."""
        return _TASKS[self.task.currentIndex()][1]

    def set_table(self, table: CategoryTable) -> None:
        """Show other categories."""
        self._table = table
        self.editor.setPlainText(table.to_text())
        self.changed.emit()

    def load(self, path: str) -> None:
        """Read a file; what is wrong with it goes to `problem`."""
        try:
            self.set_table(CategoryTable.from_file(path))
        except ConditionError as error:
            self.problem.emit(str(error))

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load a class list", "", FILE_KINDS)
        if path:
            self.load(path)

    def _read(self) -> None:
        try:
            self._table = CategoryTable.from_text(self.editor.toPlainText(), self._table)
        except ConditionError as error:
            self.problem.emit(str(error))
            return
        self.editor.set_colours(
            [colour_of(self._table.id_of(name)) if name else None for name in _names_by_line(self.editor.toPlainText())]
        )
        self.changed.emit()


def _names_by_line(text: str) -> list[str]:
    """The first class of each line of the text, empty where a line has none."""
    return [next(iter(CategoryTable.from_text(line).names), "") for line in text.split("\n")]


class SwatchEditor(QPlainTextEdit):
    """A text field with a coloured swatch in front of each line."""

    def __init__(self) -> None:
        super().__init__()
        self._colours: list[tuple[float, float, float] | None] = []
        self._margin = _Margin(self)
        self.setViewportMargins(_MARGIN, 0, 0, 0)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTabChangesFocus(True)
        self.setMinimumHeight(84)
        self.setMaximumHeight(150)
        self.updateRequest.connect(lambda _rect, _dy: self._margin.update())

    def sizeHint(self) -> QSize:
        """Room for five lines."""
        return QSize(200, 112)

    def set_colours(self, colours: list[tuple[float, float, float] | None]) -> None:
        """One colour per line, None for no swatch."""
        self._colours = colours
        self._margin.update()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the margin as high as the field."""
        super().resizeEvent(event)
        area = self.contentsRect()
        self._margin.setGeometry(QRect(area.left(), area.top(), _MARGIN, area.height()))

    def paint_margin(self, painter: QPainter) -> None:
        """Draw the swatches of the lines in view."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        block = self.firstVisibleBlock()
        while block.isValid():
            box = self.blockBoundingGeometry(block).translated(self.contentOffset())
            number = block.blockNumber()
            colour = self._colours[number] if number < len(self._colours) else None
            if colour is not None:
                painter.setBrush(QColor.fromRgbF(*colour))
                middle = int(box.top()) + self.fontMetrics().height() // 2
                painter.drawRoundedRect(QRect(7, middle - 4, 10, 10), 3, 3)
            block = block.next()


class _Margin(QWidget):
    def __init__(self, editor: SwatchEditor) -> None:
        super().__init__(editor)
        self._editor = editor

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        self._editor.paint_margin(painter)
        painter.end()
