from __future__ import annotations

from dataclasses import replace

import pytest

from psalm.errors import AnnotationError
from psalm.store import ImageState, NewObject, Replacement
from tests.psalm.store.builders import BY_MODEL, box, by_hand, by_model

TAKEN_UP = [ImageState.IN_REVIEW, ImageState.VERIFIED, ImageState.SKIPPED]
OPEN = [ImageState.TODO, ImageState.PREDICTED, ImageState.FAILED]


@pytest.mark.parametrize("state", OPEN)
def test_a_batch_replaces_what_a_model_made(store, state):
    old = store.add_objects(1, [by_model(0, 0, 1, 1), by_model(1, 1, 2, 2)])
    store.set_state(1, state, "why")
    done = store.replace_unreviewed(1, [by_model(3, 3, 4, 4)])
    assert (done.allowed, done.removed) == (True, tuple(old))
    assert [found.id for found in store.objects(1)] == list(done.added)
    assert (store.image(1).state, store.image(1).error) == (ImageState.PREDICTED, "")


@pytest.mark.parametrize("state", TAKEN_UP)
def test_an_image_that_a_person_took_up_is_not_touched(store, state):
    store.add_objects(1, [by_model(0, 0, 1, 1)])
    store.set_state(1, state)
    before, history = store.objects(1), store.history()
    assert store.unreviewed(1) == []
    assert store.replace_unreviewed(1, [by_model(3, 3, 4, 4)]) == Replacement(False)
    assert (store.objects(1), store.image(1).state, store.history()) == (before, state, history)


def test_what_a_person_drew_clicked_or_edited_stays(store):
    clicked = replace(BY_MODEL, prompt={"kind": "regions", "kinds": ["point"], "masks": []})
    drawn, pointed, edited, named, pure = store.add_objects(
        1,
        [
            by_hand(0, 0, 1, 1),
            replace(by_model(0, 1, 1, 2), provenance=clicked),
            by_model(0, 2, 1, 3),
            by_model(0, 3, 1, 4),
            by_model(0, 4, 1, 5),
        ],
    )
    store.update_object(edited, mask=box(0, 2, 2, 3))
    store.update_object(named, category_id=2)
    kept = [found for found in store.objects(1) if found.id != pure]
    assert [found.id for found in store.unreviewed(1)] == [pure]
    assert store.replace_unreviewed(1, []).removed == (pure,)
    assert store.objects(1) == kept
    assert [found.id for found in kept] == [drawn, pointed, edited, named]


def test_a_batch_may_narrow_down_what_it_replaces(store):
    first, second = store.add_objects(1, [by_model(0, 0, 1, 1), by_model(1, 1, 2, 2, category_id=2)])
    done = store.replace_unreviewed(1, [], matching=lambda found: found.category_id == 2)
    assert done.removed == (second,)
    done = store.replace_unreviewed(1, [by_model(3, 3, 4, 4)], matching=lambda found: False)
    assert done.removed == ()
    assert [found.id for found in store.objects(1)] == [first, *done.added]


def test_a_batch_that_fails_leaves_all_as_it_was(store):
    store.add_objects(1, [by_model(0, 0, 1, 1)])
    before = store.objects(1)
    with pytest.raises(AnnotationError, match="covers no pixel"):
        store.replace_unreviewed(1, [by_model(3, 3, 4, 4), NewObject(1, box(0, 0, 0, 0))])
    assert (store.objects(1), store.image(1).state) == (before, ImageState.TODO)
