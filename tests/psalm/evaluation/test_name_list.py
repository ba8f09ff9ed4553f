"""Synonyms become class lists, and answers find back to their class."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.annotations import Annotations, Category
from psalm.errors import AnnotationError, ConditionError
from psalm.evaluation.name_list import name_list, read_synonyms

NAMES = ("wall", "building, edifice", "tower, edifice")


def test_every_way_to_ask():
    assert name_list(NAMES, [1, 1, 1], "joined").conditions[0].names == NAMES
    assert name_list(NAMES, [1, 1, 1], "first").conditions[0].names == ("wall", "building", "tower")
    each = name_list(NAMES, [0, 1, 1], "each")
    # the shared synonym stands for the first of its classes
    assert each.class_of == {"wall": 0, "building": 1, "edifice": 1, "tower": 2}
    assert each.conditions[0].is_thing == (False, True, True, True)


def test_published_joins_few_and_shortens_many():
    many = [f"name {i}, other {i}" for i in range(201)]
    assert name_list(many[:200], [True] * 200).conditions[0].names[0] == "name 0, other 0"
    assert name_list(many, [True] * 201).conditions[0].names[0] == "name 0"


def test_parts_and_chosen_classes():
    found = name_list(("a", "b", "c", "d"), [True] * 4, at_once=2, classes=[0, 2, 3])
    assert [condition.names for condition in found.conditions] == [("a", "c"), ("d",)]


def test_answers_are_joined():
    found = name_list(NAMES, [True] * 3, "each", at_once=2)
    answers = []
    for condition in found.conditions:
        categories = tuple(Category(i + 1, name) for i, name in enumerate(condition.names))
        answers.append(Annotations(np.ones((2, 3, 4), bool), [1, 2], [0.9, 0.8], categories))
    masks, labels, scores = found.join(answers)
    assert masks.shape == (4, 3, 4) and labels.tolist() == [0, 1, 1, 2] and scores.dtype == np.float32


def test_a_class_without_a_name_of_its_own_is_named():
    with pytest.raises(ConditionError, match="'edifice' already stands for another class"):
        name_list(("building, edifice", "edifice"), [True, True], "each")
    with pytest.raises(ConditionError, match="choose one of published"):
        name_list(NAMES, [True] * 3, "all")
    with pytest.raises(ConditionError, match="at least 1 name"):
        name_list(NAMES, [True] * 3, at_once=0)


@pytest.mark.parametrize(
    "text", ["building: house, edifice\n\nwall:\n", '{"building": ["house", "edifice"], "wall": []}']
)
def test_synonyms_of_a_file(tmp_path, text):
    (tmp_path / "names").write_text(text)
    assert read_synonyms(tmp_path / "names", NAMES) == ("wall", "building, house, edifice", "tower, edifice")


@pytest.mark.parametrize(
    ("text", "message"), [("roof: top", "no class"), ("roof", "no colon"), ("{]", "cannot be read")]
)
def test_wrong_files_are_named(tmp_path, text, message):
    (tmp_path / "names").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_synonyms(tmp_path / "names", NAMES)
