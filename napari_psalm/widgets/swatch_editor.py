"""A text field with a coloured swatch in front of each line, and remarks on some lines."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlock,
    QTextCharFormat,
    QTextCursor,
)
from qtpy.QtWidgets import QPlainTextEdit, QTextEdit, QToolTip, QWidget

_MARGIN = 26
_SIDE = 14
_DARK_TEXT_FROM = 0.55
_REMARK = QColor("#e0803c")


@dataclass(frozen=True)
class Swatch:
    """A colour (red, green, blue; 0 to 1) and the digit written on it; 0 for none."""

    colour: tuple[float, float, float]
    digit: int = 0


class SwatchEditor(QPlainTextEdit):
    """Draws a swatch per line, and tells of clicks on them."""

    swatch_clicked = Signal(int, QPoint)
    """The line, and the place on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self._swatches: list[Swatch | None] = []
        self._remarks: list[str] = []
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

    def set_swatches(self, swatches: list[Swatch | None]) -> None:
        """One per line, None for no swatch."""
        self._swatches = swatches
        self._margin.update()

    def set_remarks(self, remarks: list[str]) -> None:
        """One per line, empty for none: the line is underlined, and the remark is its tooltip."""
        self._remarks = remarks
        underlined = QTextCharFormat()
        underlined.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
        underlined.setUnderlineColor(_REMARK)
        marks = []
        document = self.document()
        for number, remark in enumerate(remarks):
            if remark and document is not None:
                mark = QTextEdit.ExtraSelection()
                mark.cursor = QTextCursor(document.findBlockByNumber(number))
                mark.cursor.select(QTextCursor.SelectionType.LineUnderCursor)
                mark.format = underlined
                marks.append(mark)
        self.setExtraSelections(marks)

    def remark_at(self, place: QPoint) -> str:
        """The remark on the line at a place of the text; empty for none."""
        number = self.cursorForPosition(place).blockNumber()
        return self._remarks[number] if number < len(self._remarks) else ""

    def viewportEvent(self, event: QEvent | None) -> bool:
        """Show a line's remark as its tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            remark = self.remark_at(event.pos())
            if remark:
                QToolTip.showText(event.globalPos(), remark, self)
                return True
        return super().viewportEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the margin as high as the field."""
        super().resizeEvent(event)
        area = self.contentsRect()
        self._margin.setGeometry(QRect(area.left(), area.top(), _MARGIN, area.height()))

    def paint_margin(self, painter: QPainter) -> None:
        """Draw the swatches of the lines in view."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(_SIDE - 4)
        font.setBold(True)
        painter.setFont(font)
        block = self.firstVisibleBlock()
        while block.isValid():
            number = block.blockNumber()
            swatch = self._swatches[number] if number < len(self._swatches) else None
            if swatch is not None:
                self._paint(painter, swatch, self._middle(block))
            block = block.next()

    def line_at(self, y: int) -> int:
        """The line beside a place in the margin; -1 for none."""
        block = self.firstVisibleBlock()
        while block.isValid():
            if abs(self._middle(block) - y) <= self.fontMetrics().height() / 2:
                return int(block.blockNumber())
            block = block.next()
        return -1

    def _middle(self, block: QTextBlock) -> int:
        box = self.blockBoundingGeometry(block).translated(self.contentOffset())
        return int(box.top()) + self.fontMetrics().height() // 2 + 1

    def _paint(self, painter: QPainter, swatch: Swatch, middle: int) -> None:
        place = QRect(7, middle - _SIDE // 2, _SIDE, _SIDE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor.fromRgbF(*swatch.colour))
        painter.drawRoundedRect(place, 3, 3)
        if swatch.digit:
            red, green, blue = swatch.colour
            dark = 0.3 * red + 0.59 * green + 0.11 * blue > _DARK_TEXT_FROM
            painter.setPen(QColor("#101418" if dark else "#ffffff"))
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, str(swatch.digit))


class _Margin(QWidget):
    def __init__(self, editor: SwatchEditor) -> None:
        super().__init__(editor)
        self._editor = editor
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("Click for the colour and the key of the class")

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        self._editor.paint_margin(painter)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None:
            line = self._editor.line_at(int(event.position().y()))
            self._editor.swatch_clicked.emit(line, event.globalPosition().toPoint())
