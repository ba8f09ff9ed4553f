"""What to do with an answer before it is written: limits, accept, reject."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QWidget

from napari_psalm.core.kept_objects import KeptObjects
from napari_psalm.core.preview import Preview
from napari_psalm.widgets.limit_panel import LimitPanel
from napari_psalm.widgets.parts import column, row


class PreviewPanel(QWidget):
    """Accept and reject, and the sliders."""

    accept_wanted = Signal()
    reject_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.accept, self.reject = QPushButton("Accept"), QPushButton("Reject")
        self.accept.setToolTip("Write the objects of the preview; one undo takes them back")
        self.reject.setToolTip("Drop the preview and its prompts")
        self.accept.clicked.connect(lambda _checked: self.accept_wanted.emit())
        self.reject.clicked.connect(lambda _checked: self.reject_wanted.emit())
        self.first = QCheckBox("Preview before writing")
        self.first.setChecked(True)
        self.first.setToolTip("Show what was found until you accept it; otherwise it is written at once")
        self.limits = LimitPanel()
        self.setLayout(column(row(self.accept, self.reject, stretch=(1, 1)), self.limits, self.first))
        self.show_preview(None)

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Write the keys on the buttons."""
        for button, text, name in ((self.accept, "Accept", "accept"), (self.reject, "Reject", "reject")):
            button.setText(f"{text}  ({keys[name]})" if keys.get(name) else text)

    def show_preview(self, preview: Preview | None) -> None:
        """Show the limits of a preview, or that there is none."""
        self.accept.setEnabled(preview is not None)
        self.reject.setEnabled(preview is not None)
        self.limits.setVisible(preview is not None)
        if preview is not None:
            task = preview.question.request.task
            soft = not isinstance(preview.answer.kept, KeptObjects)
            self.limits.show_run(task, preview.answer.kept.names, preview.limits, preview.answer.usual, soft)
