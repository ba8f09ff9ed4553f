from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.widgets.question_panel import CLASSES, PROMPTS, SENTENCE
from psalm.conditions import Task


def _ask(qtbot: Any, widget: Any) -> Any:
    widget.run.segment.click()
    qtbot.waitUntil(lambda: not widget.session.runner.busy)
    return widget.result.layers.layer


def _settle(qtbot: Any, widget: Any) -> None:
    """Wait until what was drawn is asked and answered."""
    qtbot.wait(200)
    qtbot.waitUntil(lambda: not widget.session.runner.busy)


def _keys(viewer: Any) -> dict[str, Any]:
    return {str(key): function for key, function in viewer.keymap.items()}


def test_a_class_list_becomes_labels(qtbot: Any, annotator: Any) -> None:
    annotator.question.classes.editor.setPlainText("square")
    labels = _ask(qtbot, annotator)
    assert labels.name == "squares objects"
    assert list(labels.features["class"]) == ["square"] * 3
    assert annotator.run.status.text() == "3 objects added."
    assert annotator.objects.count.text() == "square: 3"
    assert annotator.model.text.text() == "fake on cpu"


def test_while_it_runs_the_widget_says_so_and_can_be_cancelled(qtbot: Any, annotator: Any, predictor: Any) -> None:
    assert "loads on first use" in annotator.model.text.text()
    annotator.question.classes.editor.setPlainText("square")
    predictor.go.clear()
    annotator.run.segment.click()
    qtbot.waitUntil(lambda: "Finding" in annotator.run.status.text())
    assert annotator.run.progress.maximum() == 0
    annotator.run.cancel.click()
    assert annotator.run.progress.maximum() == 1
    assert not annotator.run.cancel.isEnabled()
    predictor.go.set()
    assert annotator.run.status.text() == "Cancelled."
    assert annotator.result.layers.layer is None


def test_the_window_may_close_while_it_runs(qtbot: Any, annotator: Any, predictor: Any) -> None:
    annotator.question.classes.editor.setPlainText("square")
    predictor.go.clear()
    annotator.run.segment.click()
    qtbot.waitUntil(lambda: bool(predictor.asked))
    annotator.viewer.close()
    predictor.go.set()


def test_closing_the_dock_lets_go(qtbot: Any, annotator: Any, predictor: Any) -> None:
    viewer = annotator.viewer
    annotator.question.prompts.add_points()
    viewer.window.remove_dock_widget(annotator)
    viewer.layers["clicks"].add([[15, 30]])
    assert predictor.asked == []
    assert not annotator.session.runner.busy
    assert not {"G", "K"} & set(_keys(viewer))


def test_each_click_gives_an_object_of_the_class(qtbot: Any, annotator: Any) -> None:
    annotator.question.classes.set_table(CategoryTable.from_text("tile\nsquare"))
    annotator.question.ready_for_clicks()
    points = annotator.viewer.layers["clicks"]
    assert annotator.question.mode.index == PROMPTS
    assert (annotator.viewer.layers.selection.active, points.mode) == (points, "add")
    for column in (10, 30):
        points.add([[15, column]])
        _settle(qtbot, annotator)
    assert list(annotator.result.layers.layer.features["class"]) == ["tile", "tile"]
    annotator.objects.undo.click()
    assert list(annotator.result.layers.layer.features["prompt"]) == ["point 1"]


def test_without_live_clicks_wait_for_the_button(qtbot: Any, annotator: Any, predictor: Any) -> None:
    annotator.question.mode.choose(PROMPTS)
    annotator.question.prompts.live.setChecked(False)
    annotator.question.prompts.add_points()
    annotator.viewer.layers["clicks"].add([[15, 10]])
    assert not annotator.session.runner.busy
    assert len(_ask(qtbot, annotator).features) == 1


def test_shapes_and_painted_labels_are_prompts(qtbot: Any, annotator: Any) -> None:
    annotator.question.mode.choose(PROMPTS)
    annotator.question.prompts.add_shapes()
    annotator.viewer.layers["shapes"].add([[8, 3], [22, 17]], shape_type="rectangle")
    _settle(qtbot, annotator)
    assert not annotator.question.prompts._painted_row.isVisibleTo(annotator.question.prompts)
    annotator.question.prompts.add_labels()
    assert annotator.question.prompts._painted_row.isVisibleTo(annotator.question.prompts)
    annotator.viewer.layers["painted"].data_setitem((np.array([15]), np.array([50])), 2)
    labels = _ask(qtbot, annotator)
    assert sorted(labels.features["prompt"]) == ["box 1", "painted 2"]


def test_the_request_follows_the_mode(annotator: Any) -> None:
    annotator.question.classes.task.setCurrentIndex(1)
    assert annotator.request().task is Task.PANOPTIC
    annotator.question.mode.choose(SENTENCE)
    annotator.question.sentence.setText("the left square")
    assert annotator.request().task is Task.REFERRING
    annotator.question.several.setChecked(True)
    assert annotator.request().task is Task.GENERALISED_REFERRING
    annotator.result.existing.choose(1)
    annotator.look_at.choose(1)
    request = annotator.request()
    assert (request.in_view, request.replace, request.sentence) == (True, True, "the left square")
    annotator.question.mode.choose(CLASSES)
    assert annotator.question.classes.isVisibleTo(annotator)


def test_a_wrong_selection_is_said_in_the_status_line(annotator: Any) -> None:
    annotator.run.segment.click()
    assert "The class list is empty" in annotator.run.status.text()
    assert annotator.run.status.level == "problem"
    annotator.question.classes.editor.setPlainText("coin\ncoin")
    assert "repeats coin" in annotator.run.status.text()
    annotator.viewer.layers.clear()
    assert "Open Sample" in annotator.run.status.text()
    annotator.question.prompts.add_points()
    assert "no image" in annotator.run.status.text()
    annotator.export_to("nowhere.json")
    assert "segment first" in annotator.run.status.text()


def test_each_image_has_its_own_result(qtbot: Any, annotator: Any, image: np.ndarray) -> None:
    annotator.question.classes.editor.setPlainText("square")
    first = _ask(qtbot, annotator)
    other = annotator.viewer.add_image(image[:30], name="other")
    annotator.image.choose(other)
    assert annotator.result.layers.layer is None
    second = _ask(qtbot, annotator)
    assert second.data.shape == (30, 60)
    annotator.image.choose(annotator.viewer.layers["squares"])
    assert annotator.result.layers.layer == first
    annotator.viewer.layers.remove("squares objects")
    assert annotator.result.layers.layer is None


def test_switching_the_image_while_it_runs(qtbot: Any, annotator: Any, predictor: Any, image: np.ndarray) -> None:
    annotator.question.classes.editor.setPlainText("square")
    other = annotator.viewer.add_image(image[:30], name="other")
    predictor.go.clear()
    annotator.run.segment.click()
    annotator.image.choose(other)
    predictor.go.set()
    qtbot.waitUntil(lambda: not annotator.session.runner.busy)
    assert annotator.viewer.layers["squares objects"].data.max() == 3
    assert annotator.result.layers.layer is None


def test_an_object_gets_another_class(qtbot: Any, annotator: Any, tmp_path: Path) -> None:
    annotator.question.classes.set_table(CategoryTable.from_text("square\ntile"))
    labels = _ask(qtbot, annotator)
    labels.selected_label = 2
    annotator.objects.set_class("object")
    assert sorted(labels.features["class"]) == ["object", "square", "square"]
    annotator.export_to(tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["square", "tile", "object"]
    annotator.export_to(tmp_path / "coco.json")
    assert "exists" in annotator.run.status.text()


def test_a_sample_brings_its_class_list(annotator: Any) -> None:
    image = annotator.viewer.add_image(np.zeros((8, 8)), metadata={"psalm": {"categories": ["coin"]}})
    annotator.image.choose(image)
    assert annotator.question.classes.table.names == ("coin",)


def test_the_keys_are_bound(qtbot: Any, annotator: Any) -> None:
    annotator.question.classes.editor.setPlainText("square")
    _keys(annotator.viewer)["G"](annotator.viewer)
    qtbot.waitUntil(lambda: not annotator.session.runner.busy)
    assert annotator.result.layers.layer is not None
    _keys(annotator.viewer)["K"](annotator.viewer)
    assert "clicks" in annotator.viewer.layers


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_follows_the_theme(annotator: Any, theme: str) -> None:
    from napari.utils.theme import get_theme

    annotator.viewer.theme = theme
    assert get_theme(theme).current.as_hex() in annotator.run.segment.styleSheet()
