from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest
from PIL import Image

from psalm.store import AnnotationStore, ImageState

MANIFEST = Path(__file__).resolve().parents[3] / "napari_psalm" / "napari.yaml"


@pytest.fixture
def folder(tmp_path: Path, image: np.ndarray) -> Path:
    """Three images of three bright squares."""
    folder = tmp_path / "squares"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(image).save(folder / name)
    return folder


@pytest.fixture
def opened(qtbot: Any, annotator: Any, folder: Path) -> Iterator[Any]:
    """The annotator with the folder opened."""
    annotator.question.classes.editor.setPlainText("square\ntile")
    annotator.workplace.workspace.open(folder)
    qtbot.waitUntil(lambda: annotator.workplace.workspace.layer is not None)
    yield annotator


def _press(annotator: Any, key: str) -> None:
    """As a key on the canvas, with the objects selected."""
    active = annotator.viewer.layers.selection.active
    for provider in (active, annotator.viewer):
        for bound, function in provider.keymap.items():
            if str(bound) == key.replace("-", "+"):
                function(provider)
                return
    raise AssertionError(f"{key} is not bound")


def _wait_for(qtbot: Any, annotator: Any, path: str) -> Any:
    workspace = annotator.workplace.workspace
    qtbot.waitUntil(lambda: workspace.image.path == path and workspace.layer is not None)
    return workspace.layer


def _segment(qtbot: Any, annotator: Any) -> None:
    _press(annotator, "G")
    qtbot.waitUntil(lambda: not annotator.session.runner.busy)
    if annotator.session.preview is not None:
        _press(annotator, "N")


def test_an_hour_in_keys(qtbot: Any, opened: Any, folder: Path) -> None:
    """Segment, correct, verify, next image, come back, all by keys; the store has it all."""
    _segment(qtbot, opened)
    assert opened.objects.count.text() == "square: 2, tile: 1"
    _press(opened, "J")
    _press(opened, "Alt-1")
    assert opened.objects.count.text() == "square: 3"
    _press(opened, "J")
    _press(opened, "Shift-D")
    assert len(opened.workplace.workspace.layer.ids) == 2
    _press(opened, "W")
    _wait_for(qtbot, opened, "b.png")
    _press(opened, ".")
    _wait_for(qtbot, opened, "c.png")
    _press(opened, "Shift-W")
    _wait_for(qtbot, opened, "b.png")
    _press(opened, ",")
    assert len(_wait_for(qtbot, opened, "a.png").ids) == 2
    assert opened.workplace.panel.words.text() == "1 of 3 verified, 1 to do, 1 skipped"
    with AnnotationStore.open(folder, read_only=True) as store:
        assert [image.state.value for image in store.images()] == ["verified", "todo", "skipped"]
        assert {category.name for category in store.categories()} >= {"square", "tile"}
        assert len(store.objects(1)) == 2


def test_a_verified_image_refuses_a_prediction(qtbot: Any, opened: Any, predictor: Any) -> None:
    opened.workplace.panel.verify.click()
    _wait_for(qtbot, opened, "b.png")
    opened.workplace.workspace.step(-1)
    layer = _wait_for(qtbot, opened, "a.png")
    _segment(qtbot, opened)
    assert layer.ids == []
    assert "verified" in opened.run.status.text()
    opened.workplace.panel.review.click()
    _segment(qtbot, opened)
    assert len(layer.ids) == 3


def test_a_prediction_for_an_image_that_went_is_dropped(qtbot: Any, opened: Any, predictor: Any) -> None:
    predictor.go.clear()
    _press(opened, "G")
    opened.workplace.workspace.step(1)
    layer = _wait_for(qtbot, opened, "b.png")
    predictor.go.set()
    qtbot.waitUntil(lambda: not opened.session.runner.busy)
    assert layer.ids == []
    assert not any(len(opened.workplace.workspace.dataset.store.objects(number)) for number in (1, 2, 3))


def test_the_images_around_are_encoded_while_nothing_is_asked(qtbot: Any, opened: Any, predictor: Any) -> None:
    ahead = opened.workplace.ahead
    qtbot.wait(600)
    assert predictor.prefetched == []  # the model loads when something is asked, not before
    _segment(qtbot, opened)
    qtbot.waitUntil(lambda: len(predictor.prefetched) == 1)
    opened.workplace.workspace.step(1)
    _wait_for(qtbot, opened, "b.png")
    qtbot.waitUntil(lambda: len(predictor.prefetched) == 3)
    opened.workplace.workspace.step(1)
    _wait_for(qtbot, opened, "c.png")
    predictor.go.clear()
    _press(opened, "G")
    qtbot.wait(600)
    assert len(predictor.prefetched) == 3 and not ahead.busy
    predictor.go.set()
    qtbot.waitUntil(lambda: len(predictor.prefetched) == 4)


def test_prompts_do_not_follow_to_the_next_image(qtbot: Any, opened: Any) -> None:
    _press(opened, "K")
    opened.viewer.layers.selection.active.add([[15, 10]])
    qtbot.waitUntil(lambda: not opened.session.runner.busy)
    opened.workplace.workspace.step(1)
    _wait_for(qtbot, opened, "b.png")
    points = [layer for layer in opened.viewer.layers if layer.name.startswith("clicks")]
    assert all(len(layer.data) == 0 for layer in points)


def test_the_list_shows_states_and_goes_to_a_click(qtbot: Any, opened: Any) -> None:
    panel = opened.workplace.panel
    assert panel.model.rowCount() == 3
    panel.images.clicked.emit(panel.model.index(2))
    _wait_for(qtbot, opened, "c.png")
    assert panel.images.currentIndex().row() == 2
    panel.filter.setCurrentText("verified")
    assert panel.model.rowCount() == 0
    panel.order.setCurrentIndex(1)
    panel.filter.setCurrentIndex(0)
    assert panel.model.rowCount() == 3


def test_closing_the_dock_closes_the_dataset(qtbot: Any, opened: Any, folder: Path) -> None:
    opened.viewer.layers["a objects"].paint((15, 10), 1)
    opened.viewer.window.remove_dock_widget(opened)
    assert opened.workplace.workspace.dataset is None
    assert not any(str(key) == "G" for key in opened.viewer.keymap)
    with AnnotationStore.open(folder, read_only=True) as store:
        assert store.image(1).state is ImageState.IN_REVIEW
        assert len(store.objects(1)) == 1


def test_closing_the_window_in_the_middle_of_a_prediction_loses_nothing(
    qtbot: Any, opened: Any, predictor: Any, folder: Path
) -> None:
    opened.viewer.layers["a objects"].paint((15, 10), 1)
    predictor.go.clear()
    _press(opened, "G")
    opened.viewer.close()
    predictor.go.set()
    with AnnotationStore.open(folder, read_only=True) as store:
        assert len(store.objects(1)) == 1


def test_the_cheat_sheet_names_keys_and_classes(opened: Any) -> None:
    from qtpy.QtWidgets import QLabel

    _press(opened, "F1")
    sheet = opened.workplace.sheet
    texts = {label.text() for label in sheet.findChildren(QLabel)}
    assert {"Give the class tile", "Alt + 2", "Next image"} <= texts
    _press(opened, "F1")
    assert not sheet.isVisible()


def test_preferences_are_followed_at_once(qtbot: Any, plugin_settings: Any, npe2pm: Any, request: Any) -> None:
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_file(MANIFEST))
    settings = get_plugin_settings("napari-psalm")
    annotator = request.getfixturevalue("annotator")
    annotator.question.classes.editor.setPlainText("square")
    assert annotator.run.segment.text() == "Segment  (G)"
    settings.keys.segment, settings.keys.accept = "Ctrl-J", ""
    assert annotator.run.segment.text() == "Segment  (Ctrl-J)"
    assert annotator.preview.accept.text() == "Accept"
    _press(annotator, "Ctrl-J")
    qtbot.waitUntil(lambda: not annotator.session.runner.busy)
    assert annotator.model.text.text() == "fake on cpu"
    settings.model.device = "cpu"
    assert "loads on first use" in annotator.model.text.text()
    annotator.segment()
    qtbot.waitUntil(lambda: not annotator.session.runner.busy)
    assert annotator.model.text.text() == "fake on cpu"


def test_the_class_list_of_a_dataset_comes_back(qtbot: Any, opened: Any, folder: Path) -> None:
    opened.question.classes.restyle("tile", shortcut=7)
    opened.workplace.workspace.close_dataset()
    opened.question.classes.editor.setPlainText("")
    opened.workplace.workspace.open(folder)
    qtbot.waitUntil(lambda: opened.workplace.workspace.layer is not None)
    assert opened.question.classes.table.names == ("square", "tile")
    assert opened.question.classes.table.shortcut_of("tile") == 7
