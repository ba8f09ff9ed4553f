from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Labels

from napari_psalm.core import object_edits
from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.object_facts import FoundObject
from napari_psalm.core.stored_objects import StoredObjects, read_objects
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance, StoredImage

ASKED = {"kind": "sentence", "text": "the left one"}


def _square(row: int, column: int, side: int = 6) -> np.ndarray:
    mask = np.zeros((20, 30), dtype=bool)
    mask[row : row + side, column : column + side] = True
    return mask


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnnotationStore]:
    with AnnotationStore.create(tmp_path, tmp_path, actor="annotator") as store:
        yield store


@pytest.fixture
def image(store: AnnotationStore) -> StoredImage:
    """Two squares of a model, the second one under the first."""
    image = store.ensure_image("a.png", 0, 20, 30)
    cell = store.ensure_category("cell")
    model = Provenance("model", "tiny", "abc", prompt=ASKED)
    store.replace_unreviewed(
        image.id,
        [
            NewObject(cell.id, mask=_square(2, 2), score=0.9, provenance=model),
            NewObject(cell.id, mask=_square(4, 4), score=0.6, provenance=model),
        ],
    )
    return store.image(image.id)


@pytest.fixture
def layer(store: AnnotationStore, image: StoredImage) -> AnnotationLayer:
    shown = read_objects(store, image)
    layer = AnnotationLayer(Labels(shown.labels), shown.facts)
    layer.binding = StoredObjects(store, image, layer, shown, lambda name: store.ensure_category(name).id)
    return layer


def _objects(store: AnnotationStore) -> dict[int, int]:
    return {found.id: found.area for found in store.objects(1)}


def test_stored_objects_are_shown_the_better_on_top(layer: AnnotationLayer) -> None:
    assert layer.ids == [1, 2]
    assert (layer.index.area(1), layer.index.area(2)) == (36, 36 - 16)
    assert layer.facts(1).prompt == "the left one"
    assert [layer.origin(i) for i in layer.ids] == ["model", "model"]


def test_looking_changes_nothing(store: AnnotationStore, layer: AnnotationLayer) -> None:
    before = store.objects(1)
    layer.layer.refresh()
    layer.binding.close()
    assert store.objects(1) == before
    assert store.image(1).state is ImageState.PREDICTED


def test_painting_changes_the_object_and_keeps_what_lies_below_others(
    store: AnnotationStore, layer: AnnotationLayer
) -> None:
    layer.layer.data_setitem((np.array([15]), np.array([20])), 2)
    assert _objects(store) == {1: 36, 2: 37}
    found = store.object(2)
    assert (found.provenance.origin, found.provenance.edited_pixels) == ("both", 1)
    assert found.provenance.edited_at
    assert found.provenance.prompt == ASKED
    assert found.mask()[5, 5]
    assert store.image(1).state is ImageState.IN_REVIEW


def test_undo_brings_a_deleted_object_back_under_its_id(store: AnnotationStore, layer: AnnotationLayer) -> None:
    before = store.objects(1)
    object_edits.delete(layer, [1])
    assert list(_objects(store)) == [2]
    layer.layer.undo()
    assert store.objects(1) == before
    layer.layer.redo()
    assert list(_objects(store)) == [2]


def test_what_lies_below_comes_to_light_when_the_upper_is_deleted(
    store: AnnotationStore, layer: AnnotationLayer
) -> None:
    object_edits.delete(layer, [1])
    assert (layer.index.area(2), layer.origin(2)) == (36, "model")
    assert _objects(store) == {2: 36}
    assert store.object(2).provenance.origin == "model"
    layer.layer.undo()
    assert layer.index.area(2) == 20
    assert _objects(store) == {1: 36, 2: 36}


def test_new_objects_and_other_classes_are_stored(store: AnnotationStore, layer: AnnotationLayer) -> None:
    layer.next_category = "dust"
    layer.layer.data_setitem((np.array([18, 18]), np.array([1, 2])), 9)
    object_edits.set_category(layer, [1], "dust")
    dust = store.ensure_category("dust").id
    drawn, renamed = sorted((o for o in store.objects(1) if o.category_id == dust), key=lambda found: found.area)
    assert (drawn.area, drawn.score, drawn.provenance.origin) == (2, None, "hand")
    assert (renamed.area, renamed.provenance.origin, renamed.provenance.model) == (36, "model", "tiny")
    assert not renamed.provenance.unreviewed


def test_what_is_reopened_is_what_was_left(store: AnnotationStore, layer: AnnotationLayer) -> None:
    layer.layer.data_setitem((np.array([15, 16]), np.array([20, 20])), 5)
    object_edits.merge(layer, [1, 5])
    layer.binding.close()
    shown = read_objects(store, store.image(1))
    np.testing.assert_array_equal(shown.labels > 0, layer.layer.data > 0)
    assert sorted(np.unique(shown.labels, return_counts=True)[1][1:]) == [20, 38]
    assert {found.origin for found in shown.facts.values()} == {"both", "model"}


def test_silent_changes_are_written_at_the_end(store: AnnotationStore, layer: AnnotationLayer) -> None:
    layer.layer.data[layer.layer.data == 1] = 0
    layer.binding.close()
    assert list(_objects(store)) == [2]


def test_what_cannot_be_saved_is_said_and_saved_later(
    store: AnnotationStore, layer: AnnotationLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psalm.errors import OutputError

    said: list[str] = []
    layer.binding.failed.connect(said.append)
    with monkeypatch.context() as patch:

        def full(*args: object, **kwargs: object) -> None:
            raise OutputError("the disk is full: make room.")

        patch.setattr(store, "remove_objects", full)
        object_edits.delete(layer, [1])
    assert said == ["Not saved: the disk is full: make room."]
    assert _objects(store) == {1: 36, 2: 36}
    layer.layer.data_setitem((np.array([15]), np.array([20])), 2)
    assert _objects(store) == {2: 37}


def test_a_batch_at_the_same_time_loses_nothing(store: AnnotationStore, layer: AnnotationLayer) -> None:
    told: list[bool] = []
    layer.binding.outdated.connect(lambda: told.append(True))
    with AnnotationStore.open(store.dataset, actor="batch") as batch:
        batch.add_objects(1, [NewObject(1, mask=_square(12, 20), provenance=Provenance("model"))])
    layer.layer.data_setitem((np.array([0]), np.array([0])), 7)
    assert told == [True]
    assert sorted(_objects(store).values()) == [1, 36, 36, 36]


def test_facts_of_a_prediction_reach_the_store(store: AnnotationStore, layer: AnnotationLayer) -> None:
    how = {"model": "tiny", "weights": "ff", "prompt": ASKED, "thresholds": {"score": 0.4}}
    found = FoundObject("cell", 0.7, "the left one", "referring", how=how)
    layer.write((np.array([19]), np.array([29])), np.array([8]), {8: found})
    stored = store.objects(1)[-1]
    assert (stored.score, stored.provenance.weights, stored.provenance.thresholds) == (0.7, "ff", {"score": 0.4})
