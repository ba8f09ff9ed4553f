"""Tiles in the window: more objects than mask tokens, large images, prompts, and limits afterwards."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_psalm.core.limits import ClassLimits, Limits
from napari_psalm.core.prompt_layers import PromptLayers
from psalm.conditions import Task
from tests.napari_psalm.core.bench import Bench
from tests.psalm.tiling.conftest import Field, FieldPredictor

STEP = 40


class FieldModel(FieldPredictor):
    """As the window asks it: it also takes whole images, which tiles do not need."""

    device = "cpu"
    heeds_exclusions = False

    def set_image(self, image: Any) -> None:
        raise AssertionError("the whole image was asked")

    prefetch = predict_proposals = set_image


def discs(rows: int, columns: int) -> Field:
    """Discs in rows and columns, 40 pixels apart."""
    labels = np.zeros((rows * STEP, columns * STEP), dtype=np.int64)
    row, column = np.ogrid[:STEP, :STEP]
    disc = (row - STEP / 2) ** 2 + (column - STEP / 2) ** 2 <= 144
    for i in range(rows):
        for j in range(columns):
            labels[i * STEP : (i + 1) * STEP, j * STEP : (j + 1) * STEP][disc] = i * columns + j + 1
    return Field(labels)


@pytest.fixture
def field() -> Field:
    return discs(15, 20)


@pytest.fixture
def tiled(post: Any, field: Field) -> Any:
    bench = Bench(FieldModel(field, capacity=24), post, field.image)
    yield bench
    bench.session.close()


def test_more_objects_than_mask_tokens_are_found_in_tiles(tiled: Bench, field: Field) -> None:
    labels = tiled.ask(tiles=True)
    assert len(labels.features) == field.count == 300
    assert labels.data.shape == field.labels.shape
    # Every true object is one object of the result, whole; those on seams too.
    for number in range(1, field.count + 1):
        values, counts = np.unique(labels.data[field.labels == number], return_counts=True)
        assert values[counts.argmax()] > 0
        assert counts.max() == (labels.data == values[counts.argmax()]).sum()


def test_the_preview_says_how_many_tiles_and_follows_the_sliders(tiled: Bench) -> None:
    tiled.session.segment(tiled.request(tiles=True, preview=True))
    tiled.post.wait(lambda: not tiled.session.runner.busy)
    assert any("Looking at tile 1 of" in text for text, _ in tiled.said)
    assert "300 objects in the preview" in tiled.said[-1][0]
    assert "tiles." in tiled.said[-1][0]
    looked = len(tiled.predictor.asked)
    tiled.session.set_limits(ClassLimits(Limits(score=0.95)))
    assert not tiled.session.preview.found
    tiled.session.set_limits(ClassLimits(Limits(score=0.5, most=7)))
    assert len(tiled.session.preview.found) == 7
    assert len(tiled.predictor.asked) == looked
    labels = tiled.session.accept()
    assert len(labels.features) == 7
    labels.undo()
    assert not labels.data.any()


def test_clicks_are_asked_in_windows_at_full_resolution(tiled: Bench, field: Field) -> None:
    clicks = [[STEP / 2, STEP / 2], [14.5 * STEP, 19.5 * STEP], [STEP, STEP]]
    points = tiled.viewer.add_points(clicks, name="clicks")
    labels = tiled.ask(Task.INTERACTIVE, prompts=PromptLayers(points=points), tiles=True)
    assert sorted(labels.features["prompt"]) == ["point 1", "point 2"]
    assert max(max(size) for size in tiled.predictor.asked) <= 256
    for number in (1, field.count):
        assert len(np.unique(labels.data[field.labels == number])) == 1


def test_a_lazy_stack_is_read_in_windows_of_its_slice(post: Any, field: Field) -> None:
    read: list[tuple[int, ...]] = []

    def look(block: Any) -> Any:
        read.append(block.shape)
        return block

    stack = da.stack([da.from_array(field.image, chunks=(120, 160, 3))] * 4).map_blocks(look, dtype=np.uint8)
    bench = Bench(FieldModel(field, capacity=24), post, np.zeros((4, 4), dtype=np.uint8))
    bench.image = bench.viewer.add_image(stack, name="lazy", rgb=True)
    bench.viewer.dims.set_point(0, 2)
    labels = bench.ask(tiles=True)
    assert len(np.unique(labels.data[2])) == field.count + 1
    assert not labels.data[[0, 1, 3]].any()
    bench.session.close()


def test_a_sentence_is_asked_of_the_whole_image(bench: Bench) -> None:
    labels = bench.ask(Task.REFERRING, sentence="the left square", tiles=True)
    assert len(labels.features) == 1


def test_as_many_objects_as_the_model_has_places_are_too_many() -> None:
    from napari_psalm.core.answering import Answer

    few: Any = [None] * 20
    some: Any = [None] * 30
    many: Any = [None] * 45
    answers = [Answer(None, ClassLimits(), found, None, tokens=(50, 100), places=48) for found in (few, some, many)]  # type: ignore[arg-type]
    assert [answer.crowded for answer in answers] == [False, True, True]
    assert [bool(answer.warning) for answer in answers] == [False, False, True]
    assert "(48)" in answers[2].warning
