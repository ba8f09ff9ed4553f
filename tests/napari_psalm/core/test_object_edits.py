from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Labels

from napari_psalm.core import object_edits
from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.object_facts import FoundObject
from napari_psalm.core.object_index import measure
from psalm.errors import AnnotationError


def _layer(data: np.ndarray, **facts: FoundObject) -> AnnotationLayer:
    objects = {i: FoundObject("cell", 0.5 + i / 20, "cell", "instance") for i in np.unique(data[data > 0]).tolist()}
    return AnnotationLayer(Labels(data.copy()), objects | {int(name[1:]): found for name, found in facts.items()})


@pytest.fixture
def data() -> np.ndarray:
    """Object 1 is a ring, object 2 has two parts, object 3 is a bar."""
    data = np.zeros((12, 16), dtype=np.uint16)
    data[1:6, 1:6], data[3, 3] = 1, 0
    data[8:10, 1:3], data[8:11, 5:8] = 2, 2
    data[2:4, 10:15] = 3
    return data


def _state(layer: AnnotationLayer) -> tuple[Any, Any]:
    return layer.layer.data.tolist(), layer.table.to_dict("list")


@pytest.mark.parametrize(
    "edit",
    [
        lambda layer: object_edits.delete(layer, [1, 3]),
        lambda layer: object_edits.merge(layer, [1, 3]),
        lambda layer: object_edits.split(layer, [1, 2]),
        lambda layer: object_edits.set_category(layer, [1, 2], "dust"),
        lambda layer: object_edits.fill_holes(layer, [1, 2]),
        lambda layer: object_edits.keep_largest(layer, [1, 2]),
    ],
    ids=["delete", "merge", "split", "set_category", "fill_holes", "keep_largest"],
)
def test_each_edit_is_one_undo_and_one_redo_of_pixels_and_table(data: np.ndarray, edit: Any) -> None:
    layer = _layer(data)
    before = _state(layer)
    edit(layer)
    after = _state(layer)
    assert after != before
    layer.layer.undo()
    assert _state(layer) == before
    layer.layer.redo()
    assert _state(layer) == after


def test_deleting_leaves_the_others(data: np.ndarray) -> None:
    layer = _layer(data)
    object_edits.delete(layer, [1, 2])
    assert layer.ids == [3]
    assert np.unique(layer.layer.data).tolist() == [0, 3]


def test_merging_keeps_the_facts_of_the_largest(data: np.ndarray) -> None:
    layer = _layer(data, _3=FoundObject("dust", 0.9, "dust", "instance"))
    merged = object_edits.merge(layer, [3, 1])
    assert layer.ids == [2, merged]
    assert layer.index.area(merged) == 24 + 10
    assert (layer.facts(merged).category, layer.origin(merged)) == ("cell", "both")
    assert layer.edited_pixels(merged) == 10
    with pytest.raises(AnnotationError, match="two or more"):
        object_edits.merge(layer, [2])


def test_what_was_drawn_by_hand_stays_so(data: np.ndarray) -> None:
    layer = _layer(data, _1=FoundObject.by_hand("cell"), _3=FoundObject.by_hand("cell"), _2=FoundObject.by_hand("cell"))
    merged = object_edits.merge(layer, [1, 3])
    parts = object_edits.split(layer, [2])
    assert [layer.origin(i) for i in (merged, *parts)] == ["hand"] * 3


def test_splitting_makes_an_object_of_each_part(data: np.ndarray) -> None:
    layer = _layer(data)
    parts = object_edits.split(layer, [1, 2])
    assert sorted(layer.index.area(i) for i in parts) == [4, 9, 24]
    assert layer.ids == sorted([3, *parts])
    assert [layer.facts(i).category for i in parts] == ["cell"] * 3
    with pytest.raises(AnnotationError, match="one piece"):
        object_edits.split(layer, [1, 3])


def test_another_class_is_the_same_mask_of_the_same_origin(data: np.ndarray) -> None:
    layer = _layer(data)
    layer.layer.data_setitem((np.array([3]), np.array([3])), 1)
    one, two = object_edits.set_category(layer, [1, 2], "dust")
    assert [layer.facts(i).category for i in (one, two, 3)] == ["dust", "dust", "cell"]
    assert [layer.origin(i) for i in (one, two)] == ["both", "model"]
    assert layer.facts(two).score == 0.6
    assert object_edits.set_category(layer, [one], "dust") == [one]


def test_holes_are_filled_unless_another_object_is_in_them(data: np.ndarray) -> None:
    layer = _layer(data)
    assert object_edits.fill_holes(layer, [1]) == 1
    assert layer.layer.data[3, 3] == 1
    assert layer.origin(1) == "both"
    data[3, 3] = 3
    layer = _layer(data)
    assert object_edits.fill_holes(layer, [1]) == 0
    assert layer.layer.data[3, 3] == 3


def test_small_parts_go_and_the_largest_stays(data: np.ndarray) -> None:
    layer = _layer(data)
    assert object_edits.keep_largest(layer, [1, 2, 3]) == 4
    assert (layer.index.area(2), layer.edited_pixels(2)) == (9, 4)


def test_what_is_not_there_cannot_be_edited(data: np.ndarray) -> None:
    layer = _layer(data)
    for edit in (object_edits.delete, object_edits.merge, object_edits.split):
        with pytest.raises(AnnotationError, match="no object 9"):
            edit(layer, [1, 9])
    with pytest.raises(AnnotationError, match="No object is selected"):
        object_edits.delete(layer, [])
    assert layer.ids == [1, 2, 3]


def test_edits_of_a_stack_stay_in_their_slices(data: np.ndarray) -> None:
    layer = _layer(np.stack([data, np.where(data > 0, data + 10, 0), data * 0]))
    object_edits.delete(layer, [11])
    object_edits.fill_holes(layer, [1])
    np.testing.assert_array_equal(layer.layer.data[1], np.where(data > 1, data + 10, 0))
    assert layer.layer.data[0, 3, 3] == 1
    parts = object_edits.split(layer, [12])
    assert sorted(layer.index.area(i) for i in parts) == [4, 9]


_ACTIONS = ("paint", "erase", "fill", "write", "delete", "merge", "split", "class", "holes", "undo", "redo", "slide")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_ACTIONS), st.integers(0, 10**6)), max_size=25))
def test_whatever_happens_the_table_is_what_the_pixels_say(actions: list[tuple[str, int]]) -> None:
    layer = _layer(np.pad(np.ones((2, 3, 3), dtype=np.uint16), ((0, 0), (2, 9), (2, 9))))
    labels = layer.layer
    start = labels.data.copy()
    for action, seed in actions:
        rng = np.random.default_rng(seed)
        _act(layer, action, rng)
        assert layer.index._found == measure(labels.data, tuple(slice(0, n) for n in labels.data.shape))
        assert list(labels.features["index"]) == layer.ids
        assert list(labels.features["area"]) == [int((labels.data == i).sum()) for i in layer.ids]
    for _ in actions:
        labels.undo()
    np.testing.assert_array_equal(labels.data, start)
    assert layer.ids == [1]


def _act(layer: AnnotationLayer, action: str, rng: np.random.Generator) -> None:
    labels = layer.layer
    spot = (int(rng.integers(2)), *rng.integers(0, labels.data.shape[1:]).tolist())
    ids = rng.permutation(layer.ids)[: int(rng.integers(1, 4))].tolist()
    labels.brush_size = int(rng.integers(1, 6))
    try:
        if action in ("paint", "erase"):
            with labels.block_history():  # a stroke of two touches
                labels.paint(spot, 0 if action == "erase" else int(rng.integers(1, 9)))
                labels.paint((spot[0], spot[2], spot[1]), int(rng.integers(9)))
        elif action == "fill":
            labels.fill(spot, int(rng.integers(9)))
        elif action == "write":
            labels.data_setitem(tuple(np.array([at, at]) for at in spot), int(rng.integers(9)))
        elif action == "slide":
            labels.refresh()
        elif action in ("undo", "redo"):
            getattr(labels, action)()
        elif action == "class":
            object_edits.set_category(layer, ids, str(rng.integers(3)))
        else:
            edits = {"holes": object_edits.fill_holes, "merge": object_edits.merge, "split": object_edits.split}
            edits.get(action, object_edits.delete)(layer, ids)
    except AnnotationError:
        pass
