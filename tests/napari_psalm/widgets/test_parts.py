from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_psalm.widgets.class_list import ClassList
from napari_psalm.widgets.layer_combo import LayerCombo
from napari_psalm.widgets.parts import WindowThread


def _texts(combo: LayerCombo) -> list[str]:
    return [combo.itemText(i) for i in range(combo.count())]


def test_the_combo_follows_the_layers(qtbot: Any) -> None:
    viewer = ViewerModel()
    combo = LayerCombo(viewer, Image, "no image")
    qtbot.addWidget(combo)
    heard: list[Any] = []
    combo.layer_changed.connect(lambda: heard.append(combo.layer))
    first = viewer.add_image(np.zeros((4, 4)), name="first")
    assert combo.layer is first
    second = viewer.add_image(np.zeros((4, 4)), name="second")
    viewer.add_points([[1, 1]])
    assert combo.layer is first
    assert _texts(combo) == ["no image", "second", "first"]
    first.name = "renamed"
    assert _texts(combo) == ["no image", "second", "renamed"]
    viewer.layers.remove(first)
    assert combo.layer is second
    viewer.layers.clear()
    assert combo.layer is None
    assert heard == [first, second, None]


def test_a_combo_that_was_let_go_stays_as_it_is(qtbot: Any) -> None:
    viewer = ViewerModel()
    combo = LayerCombo(viewer, Image, "no image")
    qtbot.addWidget(combo)
    combo.disconnect_layers()
    viewer.add_image(np.zeros((4, 4)))
    assert combo.layer is None


def test_the_class_list_reads_files_and_shows_colours(qtbot: Any, tmp_path: Path) -> None:
    classes = ClassList()
    qtbot.addWidget(classes)
    problems: list[str] = []
    classes.problem.connect(problems.append)
    (tmp_path / "list.txt").write_text("coin\ncell")
    classes.load(str(tmp_path / "list.txt"))
    assert classes.table.names == ("coin", "cell")
    assert classes.editor.toPlainText() == "coin\ncell"
    classes.load(str(tmp_path / "missing.txt"))
    assert "not a class list" in problems[0]
    classes.editor.setPlainText("cell\n\ncoin")
    assert [swatch is None for swatch in classes.editor._swatches] == [False, True, False]
    assert classes.table.id_of("coin") == 1


@pytest.mark.parametrize("from_thread", [True, False])
def test_posted_work_runs_in_the_thread_of_the_window(qtbot: Any, from_thread: bool) -> None:
    window, heard = WindowThread(), []

    def post() -> None:
        window.post(lambda: heard.append(threading.current_thread()))

    if from_thread:
        threading.Thread(target=post).start()
    else:
        post()
        assert heard == []
    qtbot.waitUntil(lambda: bool(heard))
    assert heard == [threading.main_thread()]
