"""Objects that show what to look for, here or in other images."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_psalm.core.examples import Examples
from napari_psalm.widgets.parts import column, row

_NONE = "No example yet: select an object that is there, in the table or with the colour picker (L)."


class ExamplePanel(QWidget):
    """Takes selected objects as examples, and keeps them when the image changes."""

    taken = Signal()
    """The selected objects are to be added."""

    def __init__(self) -> None:
        super().__init__()
        self.examples = Examples()
        self.list = QLabel()
        self.list.setWordWrap(True)
        self.add, self.clear = QPushButton("Find like selected"), QPushButton("Clear")
        self.add.setToolTip(
            "Take the selected objects as examples of their classes, and find what looks like them;\n"
            "in another image, Segment finds it there"
        )
        self.clear.setToolTip("Forget the examples")
        self.add.clicked.connect(lambda _checked: self.taken.emit())
        self.clear.clicked.connect(lambda _checked: self.show_examples(Examples()))
        self.setLayout(column(row(self.add, self.clear, stretch=(1, 0)), self.list))
        self.show_examples(self.examples)

    def show_examples(self, examples: Examples) -> None:
        """Look for these."""
        self.examples = examples
        self.list.setText(examples.words or _NONE)
        self.clear.setEnabled(bool(len(examples)))
