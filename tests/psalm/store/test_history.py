from __future__ import annotations

import numpy as np
import pytest

from psalm.errors import AnnotationError
from psalm.store import AnnotationStore, ImageState
from tests.psalm.store.builders import BY_MODEL, SIZE, box, by_hand, by_model


def test_every_change_of_an_image_is_one_row(store):
    first, second = store.add_objects(1, [by_model(0, 0, 1, 1), by_hand(1, 1, 2, 2)])
    store.update_object(first, mask=box(0, 0, 2, 2))
    store.replace_objects(1, [second], [by_hand(3, 3, 4, 4)])
    store.set_state(1, ImageState.VERIFIED)
    store.set_state(1, ImageState.VERIFIED)
    store.remove_objects([first])
    changes = store.history(1)
    assert [change.action for change in changes] == ["add", "update", "replace", "state", "remove"]
    assert {change.actor for change in changes} == {"tester"}
    assert [change.at for change in changes] == sorted(change.at for change in changes)
    assert changes[0].after == {"objects": [first, second]}
    assert (changes[3].before, changes[3].after) == ({"state": "todo"}, {"state": "verified"})
    assert store.history(1, limit=2) == changes[-2:]
    assert len(store.history()) == len(changes) + 2


def test_what_was_changed_or_removed_can_be_read_from_the_history(store):
    (object_id,) = store.add_objects(1, [by_model(0, 0, 1, 1)])
    original = store.object(object_id)
    store.update_object(object_id, mask=box(0, 0, 2, 2), category_id=2)
    edited = store.object(object_id)
    store.remove_objects([object_id])
    added, updated, removed = store.history(1)
    assert store.past_objects(added) == []
    assert store.past_objects(updated) == [original]
    assert store.past_objects(removed) == [edited]
    np.testing.assert_array_equal(store.past_objects(updated)[0].mask(), box(0, 0, 1, 1))
    store.restore_objects(store.past_objects(removed))
    assert store.objects(1) == [edited]


def test_a_batch_leaves_a_row_without_masks(store):
    (object_id,) = store.add_objects(1, [by_model(0, 0, 1, 1)])
    added = store.replace_unreviewed(1, [by_model(1, 1, 2, 2)]).added
    change = store.history(1)[-1]
    assert (change.action, change.after) == ("batch", {"objects": list(added), "state": "predicted"})
    (before,) = change.before["objects"]
    assert (before["id"], before["area"], "rle" in before) == (object_id, 1, False)
    assert store.source(before["source"]).weights == BY_MODEL.weights
    assert store.past_objects(change) == []


def test_what_was_taken_back_is_not_in_the_history(store):
    rows = store.history()
    with pytest.raises(RuntimeError), store.transaction():
        store.add_objects(1, [by_model(0, 0, 1, 1)])
        store.set_state(1, ImageState.SKIPPED)
        raise RuntimeError
    assert store.history() == rows
    assert (store.objects(1), store.image(1).state) == ([], ImageState.TODO)


def test_an_inner_block_takes_back_its_own_changes_alone(store):
    with store.transaction():
        store.add_objects(1, [by_model(0, 0, 1, 1)])
        with pytest.raises(RuntimeError), store.transaction():
            store.add_objects(1, [by_model(1, 1, 2, 2)])
            raise RuntimeError
        store.add_objects(1, [by_model(2, 2, 3, 3)])
    assert [found.bbox for found in store.objects(1)] == [(0, 0, 1, 1), (2, 2, 3, 3)]


def test_settings_are_kept_with_the_dataset(store, dataset):
    store.set_setting("prelabel", {"classes": ["cell"], "threshold": 0.5})
    assert store.setting("prelabel") == {"classes": ["cell"], "threshold": 0.5}
    assert store.setting("other", 7) == 7
    with pytest.raises(AnnotationError, match="JSON"):
        store.set_setting("prelabel", object())
    with AnnotationStore.open(dataset) as again:
        assert again.setting("prelabel")["threshold"] == 0.5
        assert again.uid == store.uid


def test_the_uid_tells_datasets_apart(store, tmp_path):
    with AnnotationStore.create(tmp_path / "other", tmp_path) as other:
        assert len(store.uid) == 32
        assert other.uid != store.uid


def test_a_snapshot_sees_one_moment(store, dataset):
    store.ensure_image("b.png", 0, *SIZE)
    with AnnotationStore.open(dataset, read_only=True) as reader:
        with reader.snapshot():
            assert len(reader.image_ids()) == 2
            store.ensure_image("c.png", 0, *SIZE)
            assert len(reader.image_ids()) == 2
        assert len(reader.image_ids()) == 3
