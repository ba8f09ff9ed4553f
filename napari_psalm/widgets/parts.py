"""Small pieces that the panels are made of."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

SPACE = 6
_LEVEL_COLOURS = {"info": "#8f9aa8", "good": "#5bb974", "problem": "#e8a13a"}


class WindowThread(QObject):
    """Runs callables, given from any thread, on the thread of the window."""

    _given = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._given.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def post(self, function: object) -> None:
        """Run `function` soon."""
        self._given.emit(function)

    def _run(self, function: object) -> None:
        if callable(function):
            function()


class StatusLine(QLabel):
    """One or two lines of text with a mark in the colour of its level."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)
        self.level = "info"

    def say(self, text: str, level: str = "info") -> None:
        """Show a text; level is info, good or problem."""
        self.level = level
        self.setText(text)
        colour = _LEVEL_COLOURS[level]
        self.setStyleSheet(f"QLabel {{ border-left: 3px solid {colour}; padding: 3px 0 3px 8px; }}")


class Choice(QWidget):
    """A row of buttons of which one is down."""

    changed = Signal(int)

    def __init__(self, texts: Sequence[str], tooltips: Sequence[str]) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(1)
        self._group = QButtonGroup(self)
        for i, (text, tooltip) in enumerate(zip(texts, tooltips, strict=True)):
            button = QPushButton(text)
            button.setCheckable(True)
            button.setToolTip(tooltip)
            self._group.addButton(button, i)
            row.addWidget(button, 1)
        self.choose(0)
        self._group.idToggled.connect(lambda i, on: self.changed.emit(i) if on else None)

    @property
    def index(self) -> int:
        """Which button is down."""
        return int(self._group.checkedId())

    def choose(self, index: int) -> None:
        """Press a button."""
        button = self._group.button(index)
        if button is not None:
            button.setChecked(True)


def is_for_canvas(event: QKeyEvent | None) -> bool:
    """Whether a key pressed in a list is meant for the canvas: a list would look for rows that begin with it."""
    return event is not None and bool(event.text()) and event.text().isprintable()


def swatch(colour: Sequence[float], round: bool = False) -> QPixmap:
    """A small square, or disc, of a colour (red, green, blue; 0 to 1)."""
    picture = QPixmap(12, 12)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor.fromRgbF(*colour[:3]))
    corner = 5 if round else 3
    painter.drawRoundedRect(1, 1, 10, 10, corner, corner)
    painter.end()
    return picture


def group(title: str, content: QLayout) -> QGroupBox:
    """A titled frame."""
    box = QGroupBox(title)
    content.setContentsMargins(8, 6, 8, 8)
    content.setSpacing(SPACE)
    box.setLayout(content)
    return box


def row(*widgets: QWidget, stretch: Sequence[int] = ()) -> QHBoxLayout:
    """Widgets side by side."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACE)
    for i, widget in enumerate(widgets):
        layout.addWidget(widget, stretch[i] if i < len(stretch) else 0)
    return layout


def column(*items: QWidget | QLayout) -> QVBoxLayout:
    """Widgets and rows below each other."""
    layout = QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACE)
    for item in items:
        if isinstance(item, QLayout):
            layout.addLayout(item)
        else:
            layout.addWidget(item)
    return layout
