"""What goes wrong in an hour of work: no crash, and a word where something cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
import pytest


def _squares(*shape: int) -> np.ndarray:
    """One bright square in the middle of the last two axes."""
    pixels = np.zeros(shape, dtype=np.uint8)
    height, width = shape[-2:]
    pixels[..., height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = 200
    return pixels


def _settle(qtbot: Any, annotator: Any) -> None:
    qtbot.waitUntil(lambda: not annotator.session.runner.busy, timeout=60000)


def _ask(qtbot: Any, annotator: Any) -> Any:
    annotator.question.classes.editor.setPlainText("square")
    annotator.preview.first.setChecked(True)
    annotator.segment()
    _settle(qtbot, annotator)
    return annotator.session.preview


def _coloured() -> np.ndarray:
    return np.repeat(_squares(40, 60)[..., None], 3, axis=2)


IMAGES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "grey": (lambda: _squares(40, 60), {}),
    "colour": (_coloured, {"rgb": True}),
    "sixteen bit": (lambda: _squares(40, 60).astype(np.uint16) * 200, {}),
    "float": (lambda: _squares(40, 60) / 255, {}),
    "bool": (lambda: _squares(40, 60) > 0, {}),
    "channels": (lambda: _squares(3, 40, 60), {}),
    "stack": (lambda: _squares(5, 40, 60), {"scale": (2, 0.5, 0.5)}),
    "time and depth": (lambda: _squares(2, 3, 40, 60), {}),
    "dask": (lambda: dask.array.from_array(_squares(5, 40, 60), chunks=(1, 40, 60)), {}),
    "pyramid": (lambda: [_squares(80, 120), _squares(40, 60)], {"multiscale": True}),
    "dask pyramid": (
        lambda: [dask.array.from_array(_squares(3, 80, 120)), dask.array.from_array(_squares(3, 40, 60))],
        {"multiscale": True},
    ),
    "one pixel": (lambda: np.full((1, 1), 200, dtype=np.uint8), {}),
    "one row": (lambda: _squares(1, 300), {}),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_every_kind_of_image_is_segmented(qtbot: Any, annotator: Any, kind: str) -> None:
    make, attributes = IMAGES[kind]
    viewer = annotator.viewer
    viewer.layers.clear()
    image = viewer.add_image(make(), name=kind, **attributes)
    preview = _ask(qtbot, annotator)
    assert preview is not None, annotator.run.status.text()
    assert len(preview.found) == 1
    labels = annotator.session.accept()
    finest = image.data[0] if image.multiscale else image.data
    shape = finest.shape[:-1] if image.rgb else finest.shape
    assert labels.data.shape == shape
    pixels = np.asarray(finest)[..., 0] if image.rgb else np.asarray(finest)
    here = tuple(viewer.dims.current_step[: len(shape) - 2])
    np.testing.assert_array_equal(labels.data[here] > 0, pixels[here] > 0)
    assert int((labels.data > 0).sum()) == int((pixels[here] > 0).sum())


def test_a_very_large_image(qtbot: Any, annotator: Any, predictor: Any) -> None:
    viewer = annotator.viewer
    viewer.layers.clear()
    pixels = np.zeros((9000, 12000), dtype=np.uint8)
    pixels[3000:3600, 6000:6600] = 200
    viewer.add_image(pixels, name="large", contrast_limits=(0, 255))
    preview = _ask(qtbot, annotator)
    assert max(predictor.objects.shape) <= 4096
    assert preview.layer.data.size <= 4096**2
    labels = annotator.session.accept()
    assert labels.data.shape == pixels.shape
    found = labels.data[2900:3700, 5900:6700] > 0
    np.testing.assert_array_equal(found, pixels[2900:3700, 5900:6700] > 0)


def test_removing_our_layers_one_after_the_other(qtbot: Any, annotator: Any) -> None:
    viewer = annotator.viewer
    prompts = annotator.question.prompts
    for add in (prompts.add_points, prompts.add_shapes, prompts.add_labels):
        add()
    assert _ask(qtbot, annotator) is not None
    for layer in list(viewer.layers)[::-1]:
        viewer.layers.remove(layer)
    assert annotator.session.preview is None
    assert "Open Sample" in annotator.run.status.text()
    annotator.session.accept()
    annotator.session.reject()
    annotator.refine()
    assert annotator.run.status.level == "problem"


@pytest.mark.parametrize("which", ["clicks", "preview", "squares", "squares objects"])
def test_a_layer_goes_or_is_renamed_while_it_runs(qtbot: Any, annotator: Any, predictor: Any, which: str) -> None:
    viewer = annotator.viewer
    _ask(qtbot, annotator)
    annotator.session.accept()
    annotator.question.prompts.add_points()
    annotator.question.mode.choose(0)
    annotator.result.existing.choose(1)
    _ask(qtbot, annotator)
    predictor.go.clear()
    annotator.segment()
    for layer in viewer.layers:
        layer.name = f"renamed {layer.name}"
    viewer.layers.remove(f"renamed {which}")
    predictor.go.set()
    _settle(qtbot, annotator)
    if which == "squares":
        assert "removed meanwhile" in annotator.run.status.text()
    else:
        assert annotator.session.preview is not None
        assert annotator.session.accept() in viewer.layers


def test_another_image_is_chosen_while_it_runs(qtbot: Any, annotator: Any, predictor: Any, image: np.ndarray) -> None:
    annotator.question.classes.editor.setPlainText("square")
    annotator.preview.first.setChecked(True)
    other = annotator.viewer.add_image(image[:30], name="other")
    predictor.go.clear()
    annotator.segment()
    annotator.image.choose(other)
    predictor.go.set()
    _settle(qtbot, annotator)
    assert annotator.session.preview.question.plane.layer.name == "squares"
    annotator.session.accept()
    assert annotator.viewer.layers["squares objects"].data.shape == (40, 60)
    assert annotator.result.layers.layer is None


def test_the_slider_moves_while_it_runs(qtbot: Any, annotator: Any, predictor: Any) -> None:
    viewer = annotator.viewer
    viewer.layers.clear()
    viewer.add_image(_squares(3, 40, 60), name="stack")
    viewer.dims.set_current_step(0, 2)
    predictor.go.clear()
    annotator.question.classes.editor.setPlainText("square")
    annotator.preview.first.setChecked(True)
    annotator.segment()
    viewer.dims.set_current_step(0, 0)
    predictor.go.set()
    _settle(qtbot, annotator)
    labels = annotator.session.accept()
    assert labels.data.any(axis=(1, 2)).tolist() == [False, False, True]


@pytest.mark.parametrize("preview", [True, False])
def test_the_window_closes_while_it_runs(qtbot: Any, annotator: Any, predictor: Any, preview: bool) -> None:
    annotator.question.classes.editor.setPlainText("square")
    annotator.preview.first.setChecked(preview)
    predictor.go.clear()
    annotator.segment()
    qtbot.waitUntil(lambda: bool(predictor.asked))
    annotator.viewer.close()
    predictor.go.set()


def test_the_dock_closes_with_a_preview_open(qtbot: Any, annotator: Any) -> None:
    viewer = annotator.viewer
    preview = _ask(qtbot, annotator)
    viewer.window.remove_dock_widget(annotator)
    assert preview.layer not in viewer.layers
    viewer.layers["squares"].name = "still here"


def test_three_dimensions_are_refused_in_words(qtbot: Any, annotator: Any) -> None:
    viewer = annotator.viewer
    viewer.layers.clear()
    viewer.add_image(_squares(4, 40, 60), name="stack")
    viewer.dims.ndisplay = 3
    annotator.question.classes.editor.setPlainText("square")
    annotator.segment()
    assert "2-D" in annotator.run.status.text()
    assert annotator.run.status.level == "problem"


def test_an_image_whose_pixels_cannot_be_read_says_so(qtbot: Any, annotator: Any) -> None:
    def block(block_info: object = None) -> np.ndarray:
        raise OSError("the disk went away")

    viewer = annotator.viewer
    lazy = dask.array.map_blocks(block, chunks=((1,) * 3, (40,), (60,)), dtype=np.uint8, meta=np.empty((0, 0, 0)))
    annotator.question.classes.editor.setPlainText("square")
    layer = viewer.add_image(np.zeros((3, 40, 60), dtype=np.uint8), name="lazy", contrast_limits=(0, 255))
    annotator.image.choose(layer)
    request = annotator.request()
    plane_source = layer._data
    layer._data = lazy
    annotator.session.segment(request)
    _settle(qtbot, annotator)
    layer._data = plane_source
    assert "the disk went away" in annotator.run.status.text()
