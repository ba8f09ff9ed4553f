"""A strip with a bar for every slice: how far the objects that were followed to it can be trusted."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_psalm.core.trust import Trusts

_GROUND, _KNOWN, _DOUBT = QColor("#3a4048"), QColor("#6ea8fe"), QColor("#e5534b")
_LOW, _HIGH = QColor("#e8a13a"), QColor("#5bb974")
_HEIGHT, _CARET, _GAP = 34, 6, 3  # pixels; a gap is left between bars that are wider than this


class TrustStrip(QWidget):
    """Draws trust over slices; a click goes to a slice."""

    slice_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._trusts: Trusts | None = None
        self._current = 0
        self.setFixedHeight(_HEIGHT)
        self.setMinimumWidth(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Trust per slice")

    def show_trusts(self, trusts: Trusts | None) -> None:
        """Draw these; None draws nothing."""
        self._trusts = trusts
        self.update()

    def show_current(self, index: int) -> None:
        """Mark the slice that the viewer shows."""
        if index != self._current:
            self._current = index
            self.update()

    def slice_at(self, x: float) -> int | None:
        """The slice below a place, in pixels from the left; None where there is none."""
        if self._trusts is None or not 0 <= x < self.width():
            return None
        return min(int(x / self.width() * self._trusts.length), self._trusts.length - 1)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the bars, and a caret below the slice that is shown."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        high = self.height() - _CARET - 2
        painter.setBrush(_GROUND)
        painter.drawRoundedRect(QRectF(0, 0, self.width(), high), 2, 2)
        if self._trusts is not None:
            step = self.width() / self._trusts.length
            bar = step - (1 if step > _GAP else 0)
            for index, one in self._trusts.slices.items():
                height = high * max(one.value, 0.08)
                painter.setBrush(_KNOWN if one.known else _DOUBT if one.doubts else _mixed(one.value))
                painter.drawRect(QRectF(index * step, high - height, max(bar, 1), height))
            middle = (self._current + 0.5) * step
            painter.setBrush(self.palette().text())
            top = high + 2
            caret = [QPointF(middle, top), QPointF(middle - 5, top + _CARET), QPointF(middle + 5, top + _CARET)]
            painter.drawPolygon(QPolygonF(caret))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the slice."""
        index = None if event is None else self.slice_at(event.position().x())
        if index is not None:
            self.slice_wanted.emit(index)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Drag through the slices."""
        self.mousePressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Say what is known of the slice below the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            index = self.slice_at(event.pos().x())
            if index is not None and self._trusts is not None:
                one = self._trusts.slices.get(index)
                QToolTip.showText(event.globalPos(), f"Slice {index}: {one.words if one else 'not followed'}", self)
            return True
        return super().event(event)


def _mixed(value: float) -> QColor:
    """From low to high trust."""
    share = min(max((value - 0.3) / 0.6, 0.0), 1.0)
    low, high = (colour.getRgb()[:3] for colour in (_LOW, _HIGH))
    return QColor(*(round(a + (b - a) * share) for a, b in zip(low, high, strict=True)))
