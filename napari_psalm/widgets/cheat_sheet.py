"""The keys of the annotator on one sheet."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_psalm.core.keys import ACTIONS

_NAPARI = (
    ("2", "Paint in the layer of objects"),
    ("1", "Erase"),
    ("4", "Fill"),
    ("5", "Pick an object"),
    ("M", "A new object for the brush"),
    ("[  ]", "Smaller, larger brush"),
    ("Space", "Hold to move and zoom"),
    ("Ctrl-Z", "Undo: strokes, predictions and edits alike"),
    ("Ctrl-Shift-Z", "Redo"),
)

_KEY_WIDTH = 104


class CheatSheet(QDialog):
    """Lists what keys do; stays open beside the work.

    Parameters
    ----------
    keys : mapping of str to str
        The key of each action.
    class_names : mapping of int to str
        The class that each digit gives.
    parent : QWidget, optional
        The window.
    """

    def __init__(self, keys: Mapping[str, str], class_names: Mapping[int, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("PSALM keys")
        self.setWindowFlag(Qt.WindowType.Tool)
        left, right = QVBoxLayout(), QVBoxLayout()
        for title, actions in groupby(ACTIONS, key=lambda action: action.group):
            entries = [(keys.get(action.name, ""), _text(action.name, action.text, class_names)) for action in actions]
            side = left if title in ("Find", "Objects") else right
            side.addWidget(_section(title, [(key, text) for key, text in entries if key and text]))
        right.addWidget(_section("Of napari, in the layer of objects", list(_NAPARI)))
        for side in (left, right):
            side.addStretch(1)
        columns = QHBoxLayout()
        columns.addLayout(left)
        columns.addSpacing(24)
        columns.addLayout(right)
        outer = QVBoxLayout(self)
        outer.addLayout(columns)
        note = QLabel("Keys work with any layer selected. Change them in Preferences > PSALM.")
        note.setWordWrap(True)
        outer.addWidget(note)


def _text(name: str, text: str, class_names: Mapping[int, str]) -> str:
    """What an action does; the keys of classes name them, and those without a class are left out."""
    if not name.startswith("class_"):
        return text
    class_name = class_names.get(int(name.removeprefix("class_")), "")
    return class_name and f"Give the class {class_name}"


def _section(title: str, entries: list[tuple[str, str]]) -> QWidget:
    section = QWidget()
    grid = QGridLayout(section)
    grid.setContentsMargins(0, 0, 0, 10)
    grid.setHorizontalSpacing(14)
    grid.setVerticalSpacing(3)
    grid.setColumnStretch(1, 1)
    grid.setColumnMinimumWidth(0, _KEY_WIDTH)
    heading = QLabel(title)
    heading.setStyleSheet("font-weight: 600;")
    grid.addWidget(heading, 0, 0, 1, 2)
    for i, (key, text) in enumerate(entries, start=1):
        cap = QLabel(key.replace("-", " + ") if len(key) > 1 else key)
        cap.setStyleSheet(
            "border: 1px solid palette(mid); border-radius: 3px; padding: 1px 6px; font-family: monospace;"
        )
        cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
        grid.addWidget(cap, i, 0, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(QLabel(text), i, 1)
    section.setVisible(bool(entries))
    return section
