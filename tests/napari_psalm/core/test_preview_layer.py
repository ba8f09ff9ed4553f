from __future__ import annotations

from typing import Any

import numpy as np

from tests.napari_psalm.core.bench import Bench


def _preview(bench: Bench, **changes: Any) -> Any:
    bench.ask(preview=True, **changes)
    return bench.session.preview


def test_one_layer_serves_for_one_answer_after_the_other(bench: Bench) -> None:
    layer = _preview(bench).layer
    bench.session.reject()
    assert not layer.visible
    assert _preview(bench).layer is layer
    assert layer.visible and layer.data.any()


def test_it_lies_above_the_result(bench: Bench) -> None:
    layer = _preview(bench).layer
    result = bench.session.accept()
    layers = bench.viewer.layers
    layers.move(layers.index(result), len(layers))
    assert _preview(bench, result=result).layer is layer
    assert layers.index(layer) > layers.index(result)


def test_an_answer_about_another_place_gets_another_layer(bench: Bench) -> None:
    first = _preview(bench).layer
    bench.session.reject()
    bench.image.scale = (2, 2)
    second = _preview(bench).layer
    assert first not in bench.viewer.layers
    np.testing.assert_array_equal(second.scale, (2, 2))


def test_a_hidden_layer_that_was_deleted_is_made_anew(bench: Bench) -> None:
    first = _preview(bench).layer
    bench.session.reject()
    bench.viewer.layers.remove(first)
    second = _preview(bench).layer
    assert second is not first and second in bench.viewer.layers


def test_it_goes_with_the_image(bench: Bench) -> None:
    layer = _preview(bench).layer
    bench.session.reject()
    bench.viewer.layers.remove(bench.image)
    bench.session.forget(bench.image)
    assert layer not in bench.viewer.layers


def test_the_active_layer_stays(bench: Bench) -> None:
    bench.viewer.layers.selection.active = bench.image
    _preview(bench)
    assert bench.viewer.layers.selection.active is bench.image
