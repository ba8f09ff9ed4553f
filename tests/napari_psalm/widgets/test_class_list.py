from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import QApplication

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.widgets.class_list import ClassList
from psalm.known_names import KnownNames


@pytest.fixture
def classes(qtbot: Any) -> ClassList:
    classes = ClassList()
    qtbot.addWidget(classes)
    classes.show()
    return classes


def test_typing_changes_the_list_and_leaving_it_finishes(qtbot: Any, classes: ClassList) -> None:
    edited: list[tuple[str, ...]] = []
    classes.edited.connect(lambda: edited.append(classes.table.names))
    qtbot.keyClicks(classes.editor, "coin")
    assert classes.table.names == ("coin",)
    assert edited == []
    # Without a window manager no window has the focus, so the cursor cannot leave by itself.
    QApplication.sendEvent(classes.editor, QFocusEvent(QEvent.Type.FocusOut))
    assert edited == [("coin",)]


def test_each_line_has_its_colour_and_key(classes: ClassList) -> None:
    classes.editor.setPlainText("coin\n\nsky (stuff)")
    swatches = classes.editor._swatches
    assert [swatch.digit if swatch else None for swatch in swatches] == [1, None, 2]
    assert swatches[0].colour == classes.table.colour_of("coin")


def test_a_colour_and_a_key_can_be_chosen(classes: ClassList) -> None:
    edited: list[int] = []
    classes.edited.connect(lambda: edited.append(1))
    classes.editor.setPlainText("coin\nsky")
    classes.restyle("sky", shortcut=1)
    classes.restyle("coin", colour=(1.0, 0.0, 0.0))
    assert [swatch.digit for swatch in classes.editor._swatches] == [2, 1]
    assert classes.editor._swatches[0].colour == (1.0, 0.0, 0.0)
    assert len(edited) == 2


def test_a_click_on_a_swatch_tells_its_line(qtbot: Any, classes: ClassList) -> None:
    from qtpy.QtCore import QPoint, Qt

    classes.editor.swatch_clicked.disconnect()
    clicked: list[int] = []
    classes.editor.swatch_clicked.connect(lambda line, _place: clicked.append(line))
    classes.editor.setPlainText("coin\nsky")
    height = classes.editor.fontMetrics().height()
    for y in (height // 2 + 2, height + height // 2 + 2):
        qtbot.mouseClick(classes.editor._margin, Qt.MouseButton.LeftButton, pos=QPoint(10, y))
    assert clicked == [0, 1]


def test_lists_are_saved_and_loaded(classes: ClassList, tmp_path: Path) -> None:
    classes.set_table(CategoryTable.from_text("nucleus / nuclei\nsky (stuff)").styled("sky", shortcut=7))
    before = classes.table
    classes.save(str(tmp_path / "classes.json"))
    classes.editor.setPlainText("")
    classes.load(str(tmp_path / "classes.json"))
    assert classes.table == before
    problems: list[str] = []
    classes.problem.connect(problems.append)
    classes.load(str(tmp_path / "missing.txt"))
    assert "not a class list" in problems[0]
    assert classes.table == before


def test_classes_that_the_model_does_not_know_are_underlined(classes: ClassList) -> None:
    classes.editor.setPlainText("coins\nrod / nucleus\n\ncoyn (stuff)")
    assert classes.unknown == ()
    classes.set_known_names(KnownNames(("coin", "nucleus")))
    assert classes.unknown == ("coyn",)
    (mark,) = classes.editor.extraSelections()
    assert mark.cursor.blockNumber() == 3
    remark = classes.editor.remark_at(classes.editor.cursorRect(mark.cursor).center())
    assert "not trained on coyn" in remark and "It knows coin." in remark
    classes.editor.setPlainText("coin")
    assert classes.editor.extraSelections() == []
