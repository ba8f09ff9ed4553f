from __future__ import annotations

import pytest

from psalm.errors import AnnotationError, StoreError
from tests.psalm.store.builders import by_hand


def test_a_category_is_found_by_name_and_synonym(store):
    added = store.ensure_category(
        "cat", is_thing=False, supercategory="pet", synonyms=["kitten", "cat"], colour=(1, 2, 3), shortcut="c"
    )
    assert (added.id, added.name, added.is_thing, added.supercategory) == (3, "cat", False, "pet")
    assert (added.synonyms, added.colour, added.shortcut) == (("kitten",), (1, 2, 3), "c")
    assert store.ensure_category(" kitten ") == store.find_category("cat") == store.category(3) == added
    assert store.find_category("Cat") is None
    assert [category.id for category in store.categories()] == [1, 2, 3]


def test_a_known_category_is_not_changed_by_asking_for_it(store):
    assert store.ensure_category("cell", is_thing=False, supercategory="x", colour=(0, 0, 0)) == store.category(1)
    assert store.category(1).is_thing


def test_categories_get_colours_that_differ(store):
    colours = {store.ensure_category(f"name {i}").colour for i in range(30)}
    assert len(colours) == 30


def test_an_update_changes_what_is_given_and_keeps_the_id(store):
    (object_id,) = store.add_objects(1, [by_hand(0, 0, 1, 1)])
    renamed = store.update_category(1, name="bacterium", synonyms=["germ"], colour=(9, 9, 9))
    assert (renamed.id, renamed.name, renamed.synonyms, renamed.is_thing) == (1, "bacterium", ("germ",), True)
    assert store.object(object_id).category_id == 1
    assert store.find_category("cell") is None
    assert store.update_category(1, synonyms=[]).synonyms == ()
    change = store.history()[-2]
    assert (change.action, change.before["name"], change.after["name"]) == ("category", "cell", "bacterium")


def test_a_name_means_one_category(store):
    for attempt in (
        lambda: store.update_category(2, name="cell"),
        lambda: store.update_category(2, synonyms=["cell"]),
        lambda: store.ensure_category("germ", synonyms=["cell"]),
    ):
        with pytest.raises(AnnotationError, match="'cell' names category 1 already"):
            attempt()
    assert [category.name for category in store.categories()] == ["cell", "nucleus"]


def test_names_and_colours_are_checked(store):
    with pytest.raises(AnnotationError, match="empty name"):
        store.ensure_category("  ")
    with pytest.raises(AnnotationError, match="from 0 to 255"):
        store.update_category(1, colour=(0, 0, 256))


def test_a_merge_moves_objects_and_takes_the_names_over(store):
    store.ensure_category("germ", synonyms=["microbe"])
    ids = store.add_objects(1, [by_hand(0, 0, 1, 1, category_id=3), by_hand(0, 1, 1, 2, category_id=2)])
    assert store.merge_categories([3, 1], into=1) == 1
    assert [store.object(object_id).category_id for object_id in ids] == [1, 2]
    assert store.category(1).synonyms == ("germ", "microbe")
    assert store.ensure_category("germ").id == 1
    with pytest.raises(StoreError, match="'germ' was merged into category 1"):
        store.category(3)
    assert store.history()[-1].after == {"into": 1, "objects": 1}


def test_an_id_is_never_used_again(store):
    store.ensure_category("germ")
    store.merge_categories([3], into=1)
    store.remove_category(2)
    assert store.ensure_category("new").id == 4
    assert store.ensure_category("wanted 2", category_id=2).id == 5
    assert store.ensure_category("wanted 90", category_id=90).id == 90
    assert store.ensure_category("wanted 7", category_id=7).id == 7
    assert store.ensure_category("wanted 0", category_id=0).id == 91


def test_a_category_with_objects_is_not_removed(store):
    store.add_objects(1, [by_hand(0, 0, 1, 1)])
    with pytest.raises(StoreError, match="has objects"):
        store.remove_category(1)
    store.remove_category(2)
    with pytest.raises(StoreError, match="was removed"):
        store.category(2)
    with pytest.raises(StoreError, match="no category 2: 'nucleus' was removed"):
        store.add_objects(1, [by_hand(0, 0, 1, 1, category_id=2)])
