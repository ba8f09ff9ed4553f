"""Prompts drawn with the mouse in a real window, and what is done with their answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.widgets.coalesced import Coalesced
from napari_psalm.widgets.question_panel import CLASSES, PROMPTS
from psalm.conditions import Task


class Window:
    """A real window with the annotator; positions are (row, column) in the world."""

    def __init__(self, viewer: Any, widget: Any, qtbot: Any) -> None:
        self.viewer, self.widget, self._qtbot = viewer, widget, qtbot
        self._canvas = viewer.window._qt_viewer.canvas.native

    def __getattr__(self, name: str) -> Any:
        return getattr(self.widget, name)

    def at(self, row: float, column: float) -> QPoint:
        """Where the canvas shows a place."""
        camera = self.viewer.scene.camera
        x = (column - camera.center[-1]) * camera.zoom + self._canvas.width() / 2
        y = (row - camera.center[-2]) * camera.zoom + self._canvas.height() / 2
        return QPoint(round(x), round(y))

    def click(self, row: float, column: float) -> None:
        """Press and release the left button."""
        QTest.mouseClick(self._canvas, Qt.MouseButton.LeftButton, pos=self.at(row, column))
        self.settle()

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place, move along the others, release at the last."""
        QTest.mousePress(self._canvas, Qt.MouseButton.LeftButton, pos=self.at(*places[0]))
        for place in places[1:]:
            QTest.mouseMove(self._canvas, self.at(*place))
            QApplication.processEvents()
        QTest.mouseRelease(self._canvas, Qt.MouseButton.LeftButton, pos=self.at(*places[-1]))
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is asked any more."""
        self._qtbot.wait(150)
        self._qtbot.waitUntil(lambda: not self.widget.session.runner.busy, timeout=20000)

    @property
    def preview(self) -> Any:
        return self.widget.session.preview

    @property
    def columns(self) -> list[int]:
        """Where the objects of the preview begin."""
        return [one.patch.column for one in self.preview.found]


@pytest.fixture
def window(make_napari_viewer: Any, qtbot: Any, predictor: Any, image: np.ndarray) -> Iterator[Window]:
    from napari_psalm.widgets.annotator import AnnotatorWidget

    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1100, 800)
    viewer.add_image(image, name="squares")
    widget = AnnotatorWidget(viewer, load=lambda _name: predictor)
    viewer.window.add_dock_widget(widget, name="PSALM")
    qtbot.wait(100)
    viewer.reset_view()
    qtbot.wait(100)
    widget.question.classes.set_table(CategoryTable.from_text("tile\nsquare"))
    yield Window(viewer, widget, qtbot)
    widget.shut_down()


def test_clicks_are_previewed_and_accepted_with_the_buttons(window: Window) -> None:
    window.question.prompts.add_buttons["Points"].click()
    window.question.mode.choose(PROMPTS)
    window.click(15, 10)
    assert window.columns == [5]
    window.click(15, 50)
    assert window.columns == [5, 45]
    assert window.result.layers.layer is None
    window.widget.preview.accept.click()
    labels = window.result.layers.layer
    assert np.unique(labels.data).tolist() == [0, 1, 2]
    assert list(labels.features["class"]) == ["tile", "tile"]
    assert len(window.viewer.layers["clicks"].data) == 0
    assert window.viewer.layers.selection.active is window.viewer.layers["clicks"]
    assert not window.widget.preview.accept.isEnabled()


def test_clicks_on_the_same_object_are_one_prompt(window: Window, predictor: Any) -> None:
    window.question.prompts.grouping.choose(1)
    window.question.ready_for_clicks()
    window.click(15, 28)
    window.click(17, 32)
    assert len(predictor.asked[-1]) == 1
    assert window.columns == [25]
    window.question.prompts.next.click()
    window.click(15, 50)
    assert len(predictor.asked[-1]) == 2
    assert window.columns == [25, 45]


def test_an_exclusion_click_takes_an_object_away(window: Window) -> None:
    window.question.mode.choose(CLASSES)
    window.segment()
    window.settle()
    assert window.columns == [5, 25, 45]
    window.question.prompts.add_points()
    window.question.prompts.meaning.choose(1)
    window.click(15, 30)
    assert window.columns == [5, 45]
    assert window.preview.question.request.task is Task.INSTANCE
    exclude = next(button for button in window.findChildren(QPushButton) if button.text() == "Exclude")
    assert "does not belong" in exclude.toolTip()


def test_a_box_drawn_with_the_mouse_is_a_prompt(window: Window, predictor: Any) -> None:
    window.question.mode.choose(PROMPTS)
    window.question.prompts.add_shapes()
    window.drag((8, 22), (15, 30), (22, 37))
    assert predictor.asked[-1].kinds == ("box",)
    assert window.columns == [25]


def test_a_painted_stroke_is_a_prompt(window: Window, predictor: Any) -> None:
    window.question.mode.choose(PROMPTS)
    window.question.prompts.painted.setCurrentIndex(1)
    window.question.prompts.add_labels()
    window.drag((14, 47), (15, 50), (16, 52))
    assert predictor.asked[-1].kinds == ("scribble",)
    assert window.columns == [45]
    window.session.accept()
    assert not window.viewer.layers["painted"].data.any()


def test_the_view_follows_the_real_camera(window: Window, predictor: Any) -> None:
    camera = window.viewer.scene.camera
    camera.center = (0, 14.5, 29.5)
    camera.zoom *= 4
    window._qtbot.wait(100)
    shown = window.viewer.layers["squares"].corner_pixels
    window.look_at.choose(1)
    window.segment()
    window.settle()
    height, width = predictor.objects.shape
    assert (height, width) != (40, 60)
    (rows, columns) = window.preview.question.plane.window
    # napari's own box may be a pixel larger, and does not go beyond the last pixel.
    assert abs(rows.start - shown[0][0]) <= 1 and abs(columns.start - shown[0][1]) <= 1
    assert abs(rows.stop - 1 - shown[1][0]) <= 1 and abs(columns.stop - 1 - shown[1][1]) <= 1
    labels = window.session.accept()
    expected = np.zeros((40, 60), dtype=bool)
    expected[10:20, 25:35] = True
    expected[: rows.start], expected[rows.stop :] = False, False
    np.testing.assert_array_equal(labels.data[:, 25:35] > 0, expected[:, 25:35])
    assert not labels.data[:, :5].any()


def test_sliders_redraw_the_preview_without_the_model(window: Window, predictor: Any) -> None:
    window.segment()
    window.settle()
    asked = len(predictor.asked)
    limits = window.widget.preview.limits
    limits.sliders["score"].slider.setValue(140)
    window._qtbot.waitUntil(lambda: len(window.preview.found) == 2)
    limits.scope.setCurrentText("square")
    limits.sliders["score"].slider.setValue(200)
    window._qtbot.waitUntil(lambda: len(window.preview.found) == 1)
    assert window.columns == [5]
    limits.reset.click()
    window._qtbot.waitUntil(lambda: len(window.preview.found) == 2)
    limits.scope.setCurrentIndex(0)
    limits.reset.click()
    window._qtbot.waitUntil(lambda: len(window.preview.found) == 3)
    assert len(predictor.asked) == asked
    assert limits.chosen(Task.INSTANCE) is None


def test_limits_that_were_set_hold_for_the_next_question(window: Window) -> None:
    window.segment()
    window.settle()
    window.widget.preview.limits.sliders["most"].slider.setValue(0)
    window._qtbot.waitUntil(lambda: len(window.preview.found) == 1)
    window.session.reject()
    window.segment()
    window.settle()
    assert len(window.preview.found) == 1


def test_only_the_limits_that_matter_are_shown(window: Window) -> None:
    panel = window.widget.preview.limits
    assert not panel.isVisibleTo(window.widget)
    window.question.ready_for_clicks()
    window.click(15, 10)
    shown = [name for name, slider in panel.sliders.items() if slider.isVisibleTo(panel)]
    assert shown == ["score", "mask", "area"]


def test_taking_the_last_prompt_away_takes_the_preview_away(window: Window) -> None:
    window.question.ready_for_clicks()
    window.click(15, 10)
    points = window.viewer.layers["clicks"]
    points.selected_data = {0}
    points.remove_selected()
    window.settle()
    assert window.preview is None


def test_a_selected_object_is_refined_with_further_clicks(window: Window, predictor: Any) -> None:
    window.segment()
    window.settle()
    labels = window.session.accept()
    labels.selected_label = 2
    window.refine()
    window.settle()
    assert predictor.asked[-1].kinds == ("mask",)
    window.question.ready_for_clicks()
    window.click(17, 33)
    assert window.preview.question.request.refined == 2
    window.session.accept()
    assert len(labels.features) == 3


def test_names_that_the_model_does_not_know_are_pointed_out(window: Window) -> None:
    question = window.question
    question.set_known_names(("coin", "cell"))
    question.classes.editor.setPlainText("coyn\ncells")
    assert question.warning.isVisibleTo(window.widget)
    assert "coyn" in question.warning.text() and "It knows coin." in question.warning.text()
    assert "cell" in question.warning.toolTip()
    question.classes.editor.setPlainText("Coin\ncell")
    assert not question.warning.isVisibleTo(window.widget)


def test_many_calls_become_few(qtbot: Any) -> None:
    calls: list[int] = []
    coalesced = Coalesced(lambda: calls.append(1), 50)
    for _ in range(10):
        coalesced.call()
    assert len(calls) == 1
    qtbot.waitUntil(lambda: len(calls) == 2)
    qtbot.wait(120)
    assert len(calls) == 2


def test_the_widget_opens_without_torch(tmp_path: Any) -> None:
    import subprocess

    code = (
        "import sys, time, napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "from napari_psalm.widgets.annotator import AnnotatorWidget\n"
        "viewer.window.add_dock_widget(AnnotatorWidget(viewer))\n"
        "print('torch' in sys.modules)\n"
        "viewer.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.stdout.strip().splitlines()[-1:] == ["False"], done.stderr
