"""The button that starts, the one that stops, and how far it is."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QWidget

from napari_psalm.widgets.parts import StatusLine, column, row

_BUTTON_STYLE = """
QPushButton { background-color: ACCENT; font-weight: 600; padding: 7px; border-radius: 3px; }
QPushButton:hover { border: 1px solid palette(text); padding: 6px; }
"""
_PROGRESS_STYLE = """
QProgressBar { border: none; background: transparent; }
QProgressBar::chunk { background-color: ACCENT; width: 40px; }
"""


class RunPanel(QWidget):
    """Segment, cancel, progress, status."""

    segment_wanted = Signal()
    cancel_wanted = Signal()
    tiles_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.segment = QPushButton("Segment")
        self.segment.setToolTip("Find the objects; the window stays free meanwhile")
        self.segment.clicked.connect(lambda _checked: self.segment_wanted.emit())
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Give up the prediction that runs")
        self.cancel.clicked.connect(lambda _checked: self.cancel_wanted.emit())
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(4)
        self.status = StatusLine()
        self.tiles = QPushButton("Ask again in tiles")
        self.tiles.setToolTip("Let the model see the image tile by tile, so that it finds more objects")
        self.tiles.clicked.connect(lambda _checked: self.tiles_wanted.emit())
        self.tiles.hide()
        self.setLayout(column(row(self.segment, self.cancel, stretch=(3, 1)), self.progress, self.status, self.tiles))
        self.show_busy(False)

    def show_busy(self, busy: bool) -> None:
        """Let the bar run while a prediction is awaited."""
        self.progress.setRange(0, 0 if busy else 1)
        self.cancel.setEnabled(busy)

    def show_key(self, key: str) -> None:
        """Write the key on the button."""
        self.segment.setText(f"Segment  ({key})" if key else "Segment")

    def offer_tiles(self, on: bool) -> None:
        """Whether tiles would help."""
        self.tiles.setVisible(on)

    def set_accent(self, colour: str) -> None:
        """Colour the main button and the bar."""
        self.segment.setStyleSheet(_BUTTON_STYLE.replace("ACCENT", colour))
        self.progress.setStyleSheet(_PROGRESS_STYLE.replace("ACCENT", colour))


class ModelLine(QWidget):
    """Names the model and the device that it really runs on."""

    change_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = QLabel()
        self.text.setToolTip("The model in use and the device that it runs on")
        self.change = QPushButton("Model…")
        self.change.setToolTip("Use a model of your own: choose its folder")
        self.change.clicked.connect(lambda _checked: self.change_wanted.emit())
        self.setLayout(row(self.text, self.change, stretch=(1, 0)))
