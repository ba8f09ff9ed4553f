from __future__ import annotations

import tempfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError, StoreError
from psalm.store import AnnotationStore, NewObject, Provenance
from tests.psalm.store.builders import BY_MODEL, SIZE, box, by_hand, by_model

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Text that cannot be written as UTF-8 is refused, which another test shows.
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=5,
)
PROVENANCES = st.builds(
    Provenance,
    origin=st.sampled_from(["model", "hand", "both"]),
    model=st.text(st.characters(codec="utf-8"), max_size=5),
    weights=st.text("0123456789abcdef", max_size=8),
    prompt=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), JSON, max_size=3),
    thresholds=st.dictionaries(st.text("abc", max_size=3), st.floats(0, 1), max_size=2),
    edited_pixels=st.integers(0, 10**9),
    edited_at=st.sampled_from(["", "2026-01-02T03:04:05.678Z"]),
)
# Any pixels at all: holes, parts, single pixels and borders are among them.
MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)).filter(np.any)


@settings(max_examples=50, deadline=None)
@given(
    masks=st.lists(st.tuples(MASKS, st.none() | st.floats(0, 1), PROVENANCES, st.booleans()), min_size=1, max_size=5)
)
def test_what_goes_in_comes_out(masks):
    with tempfile.TemporaryDirectory() as folder:
        with AnnotationStore.create(folder, folder) as store:
            category = store.ensure_category("cell")
            for number, (mask, score, origin, as_rle) in enumerate(masks):
                image = store.ensure_image(f"{number}.png", 0, *mask.shape)
                content = {"rle": encode_mask(mask)} if as_rle else {"mask": mask}
                store.add_objects(image.id, [NewObject(category.id, score=score, provenance=origin, **content)])
        with AnnotationStore.open(folder, read_only=True) as store:
            for image, (mask, score, origin, _) in zip(store.images(), masks, strict=True):
                (found,) = store.objects(image.id)
                np.testing.assert_array_equal(found.mask(), mask)
                assert (found.score, found.provenance) == (score, origin)
                rows, columns = np.nonzero(mask)
                assert found.area == len(rows)
                assert found.bbox == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
                assert found.rle == encode_mask(mask)


def test_overlapping_objects_stay_whole(store):
    store.add_objects(1, [by_model(0, 0, 4, 4), by_model(2, 2, 5, 7)])
    first, second = store.objects(1)
    np.testing.assert_array_equal(first.mask(), box(0, 0, 4, 4))
    np.testing.assert_array_equal(second.mask(), box(2, 2, 5, 7))


def test_rle_of_any_kind_is_kept_in_one_form(store):
    runs = {"size": list(SIZE), "counts": [0, 1, 3, 2, 5 * 7 - 6]}
    (object_id,) = store.add_objects(1, [NewObject(1, rle=runs)])
    expected = np.zeros(SIZE, dtype=bool)
    expected.T.flat[[0, 4, 5]] = True
    np.testing.assert_array_equal(store.object(object_id).mask(), expected)
    assert isinstance(store.object(object_id).rle["counts"], str)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mask": np.zeros(SIZE, dtype=bool)}, "covers no pixel"),
        ({"mask": np.ones((7, 5), dtype=bool)}, "make the mask at the image's size"),
        ({"mask": np.ones(SIZE, dtype=np.uint8)}, "give bool"),
        ({"rle": {"size": [7, 5], "counts": [0, 35]}}, "size"),
        ({"rle": {"size": list(SIZE), "counts": [0, 34]}}, "34 pixels"),
        ({"rle": {"size": list(SIZE), "counts": "nonsense~~~"}}, "RLE"),
        ({"mask": box(0, 0, 1, 1), "score": float("nan")}, "score nan"),
        ({"mask": box(0, 0, 1, 1), "score": 1.5}, "score 1.5"),
        ({"mask": box(0, 0, 1, 1), "provenance": Provenance(prompt={"a": {1, 2}})}, "JSON"),
        ({"mask": box(0, 0, 1, 1), "provenance": Provenance(prompt={"a": float("nan")})}, "JSON"),
        ({"mask": box(0, 0, 1, 1), "provenance": Provenance(model="\udce9")}, "Unicode"),
        ({"mask": box(0, 0, 1, 1), "provenance": Provenance(edited_pixels=2**80)}, "smaller numbers"),
    ],
)
def test_an_unusable_object_is_refused_and_nothing_of_the_call_is_kept(store, content, message):
    with pytest.raises(AnnotationError, match=message):
        store.add_objects(1, [by_model(0, 0, 1, 1), NewObject(1, **content)])
    assert store.objects(1) == []
    assert store.history(1) == []
    assert store.add_objects(1, [by_model(0, 0, 1, 1)])
    assert store.objects(1)[0].provenance == BY_MODEL


def test_records_are_checked_where_they_are_built():
    for content in ({}, {"mask": box(0, 0, 1, 1), "rle": encode_mask(box(0, 0, 1, 1))}):
        with pytest.raises(AnnotationError, match="either a mask or an RLE"):
            NewObject(1, **content)
    with pytest.raises(AnnotationError, match="origin 'robot'"):
        Provenance("robot")


def test_an_image_without_size_takes_no_objects(store):
    image = store.ensure_image("b.png")
    with pytest.raises(AnnotationError, match=r"size of b\.png is not known"):
        store.add_objects(image.id, [by_hand(0, 0, 1, 1)])


def test_numbers_of_numpy_are_numbers(store):
    (object_id,) = store.add_objects(
        np.int64(1), [replace(by_hand(0, 0, 1, 1), category_id=np.uint16(2), score=np.float32(0.5))]
    )
    assert store.object(np.uint32(object_id)).category_id == 2
    store.remove_objects(np.array([object_id]))
    assert store.objects(1) == []


def test_replace_is_one_change(store):
    old = store.add_objects(1, [by_model(0, 0, 1, 1), by_model(1, 1, 2, 2)])
    new = store.replace_objects(1, remove=old[:1], add=[by_hand(3, 3, 4, 4)])
    assert [found.id for found in store.objects(1)] == [old[1], *new]
    with pytest.raises(StoreError, match="no object 99"):
        store.replace_objects(1, remove=[old[1], 99], add=[by_hand(0, 0, 1, 1)])
    other = store.ensure_image("b.png", 0, *SIZE)
    with pytest.raises(StoreError, match="lies on image 1, not on 2"):
        store.replace_objects(other.id, remove=[old[1]])
    assert [found.id for found in store.objects(1)] == [old[1], *new]


def test_an_edit_by_hand_is_noted(store):
    (object_id,) = store.add_objects(1, [by_model(0, 0, 2, 2)])
    once = store.update_object(object_id, mask=box(0, 0, 2, 3))
    assert (once.provenance.origin, once.provenance.edited_pixels) == ("both", 2)
    assert once.provenance.edited_at.endswith("Z")
    assert (once.provenance.model, once.provenance.prompt) == (BY_MODEL.model, BY_MODEL.prompt)
    twice = store.update_object(object_id, mask=box(4, 4, 5, 5))
    assert twice.provenance.edited_pixels == 2 + 6 + 1
    assert twice.bbox == (4, 4, 5, 5)
    assert twice.score == 0.9


def test_a_new_category_is_an_edit_of_no_pixel(store):
    (object_id,) = store.add_objects(1, [by_model(0, 0, 2, 2)])
    changed = store.update_object(object_id, category_id=2)
    assert (changed.category_id, changed.provenance.origin, changed.provenance.edited_pixels) == (2, "both", 0)
    assert changed.provenance.edited_at
    np.testing.assert_array_equal(changed.mask(), box(0, 0, 2, 2))


def test_an_update_that_changes_nothing_is_no_edit(store):
    (object_id,) = store.add_objects(1, [by_model(0, 0, 2, 2)])
    before = store.object(object_id)
    assert store.update_object(object_id, mask=box(0, 0, 2, 2), category_id=1, score=0.9) == before
    assert [change.action for change in store.history(1)] == ["add"]


def test_an_update_with_a_provenance_keeps_it(store):
    (object_id,) = store.add_objects(1, [by_model(0, 0, 2, 2)])
    newer = replace(BY_MODEL, weights="ffff")
    assert store.update_object(object_id, mask=box(0, 0, 1, 1), score=0.7, provenance=newer).provenance == newer
    assert store.object(object_id).score == 0.7


def test_objects_are_counted_and_listed_by_category(store):
    ids = store.add_objects(1, [by_model(0, 0, 1, 1), by_model(1, 0, 2, 1, category_id=2), by_model(2, 0, 3, 1)])
    store.ensure_category("germ")
    assert store.object_counts() == {1: 2, 2: 1, 3: 0}
    assert (store.object_count(), store.object_count(1)) == (3, 2)
    assert [found.id for found in store.objects_of(1)] == [ids[0], ids[2]]


def test_the_question_is_kept_once(store):
    store.add_objects(1, [by_model(0, 0, 1, 1), replace(by_model(1, 1, 2, 2), provenance=replace(BY_MODEL))])
    other = replace(BY_MODEL, thresholds={"score": 0.6})
    store.add_objects(1, [replace(by_model(1, 1, 2, 2), provenance=other)])
    assert len(store._rows("SELECT * FROM sources")) == 2
    assert [found.provenance.thresholds["score"] for found in store.objects(1)] == [0.5, 0.5, 0.6]


def test_a_question_that_was_taken_back_is_asked_anew(store):
    with pytest.raises(RuntimeError), store.transaction():
        store.add_objects(1, [by_model(0, 0, 1, 1)])
        raise RuntimeError
    store.add_objects(1, [replace(by_model(0, 0, 1, 1), provenance=replace(BY_MODEL, weights="other"))])
    store.add_objects(1, [by_model(0, 0, 1, 1)])
    assert [found.provenance.weights for found in store.objects(1)] == ["other", "a1b2"]


def test_ids_of_removed_objects_are_not_used_again(store):
    ids = store.add_objects(1, [by_model(0, 0, 1, 1), by_model(1, 1, 2, 2)])
    store.remove_objects(ids)
    assert store.add_objects(1, [by_model(0, 0, 1, 1)])[0] > max(ids)


def test_removed_and_changed_objects_can_be_put_back_under_their_ids(store):
    ids = store.add_objects(1, [by_model(0, 0, 1, 1), by_hand(1, 1, 3, 3)])
    before = store.objects(1)
    store.remove_objects(ids[:1])
    store.update_object(ids[1], mask=box(0, 0, 5, 7))
    store.restore_objects(before)
    assert store.objects(1) == before
    with pytest.raises(StoreError, match="never had an object 99"):
        store.restore_objects([replace(before[0], id=99)])


def test_a_damaged_mask_is_named(store):
    (object_id,) = store.add_objects(1, [by_model(0, 0, 1, 1)])
    with store.transaction():
        store._write("UPDATE objects SET rle = X'30'")
    with pytest.raises(AnnotationError, match=f"Object {object_id} of image 1"):
        store.object(object_id).mask()
