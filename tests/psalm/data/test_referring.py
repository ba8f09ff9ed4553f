"""Sentences are read again by an independent little reader and checked against the objects."""

from __future__ import annotations

import re

import numpy as np
import pytest

from psalm.conditions import SentenceCondition, Task
from psalm.data.referring import Thing, choose, expressions
from psalm.data.scenes import SceneSamples
from psalm.data.shapes import SHAPES
from psalm.data.words import COLOURS, plural

SCENES = SceneSamples(60, seed=11, size=(160, 224))
SHAPE_SCENES = [index for index in range(60) if index % 3 < 2]
SIDES = {"left", "right", "top", "bottom"}
KINDS = {"only", "all", *SIDES, "biggest", "smallest", "corner", "middle", "ordinal", "next", "beside"}


def _all_expressions() -> list:
    scenes = [SCENES.labelled(index) for index in SHAPE_SCENES]
    return [(scene, expression) for scene in scenes for expression in expressions(scene.things, scene.shape)]


def _named(things: tuple[Thing, ...], text: str) -> list[int]:
    """The objects that the first noun phrase of a sentence fits."""
    words = re.split(r" (?:next|beside|closest|near|to the|left of|right of|above|over|below|under) ", text)[0].split()
    colour = next((word for word in words if word in COLOURS), None)
    shape = next((name for name in SHAPES if name in words or plural(name) in words), None)
    return [
        i
        for i, thing in enumerate(things)
        if (colour is None or thing.colour == colour) and (shape is None or thing.name == shape)
    ]


FOUND = _all_expressions()


def test_every_rule_is_used() -> None:
    assert {expression.kind for _, expression in FOUND} == KINDS


@pytest.mark.parametrize("kind", ["only", "all"])
def test_the_noun_phrase_fits_the_targets_and_nothing_else(kind: str) -> None:
    for labelled, expression in (pair for pair in FOUND if pair[1].kind == kind):
        for text in expression.wordings:
            assert _named(labelled.things, text) == list(expression.targets), text


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        ("left", lambda thing: thing.centre[1]),
        ("right", lambda thing: -thing.centre[1]),
        ("top", lambda thing: thing.centre[0]),
        ("bottom", lambda thing: -thing.centre[0]),
        ("smallest", lambda thing: thing.area),
        ("biggest", lambda thing: -thing.area),
    ],
)
def test_an_extreme_is_the_extreme_by_a_margin(kind: str, measure) -> None:
    for labelled, expression in (pair for pair in FOUND if pair[1].kind == kind):
        height, width = labelled.shape
        for text in expression.wordings:
            rivals = sorted(_named(labelled.things, text), key=lambda i: measure(labelled.things[i]))
            assert rivals[0] == expression.targets[0] and len(expression.targets) == 1, text
            best, second = (abs(measure(labelled.things[i])) for i in rivals[:2])
            if kind in ("smallest", "biggest"):
                assert max(best, second) >= 1.2 * min(best, second), text
            else:
                assert abs(best - second) >= 0.05 * (width if kind in ("left", "right") else height), text


def test_ordinals_count_from_the_named_side() -> None:
    order = ("first", "second", "third", "fourth", "fifth")
    for labelled, expression in (pair for pair in FOUND if pair[1].kind == "ordinal"):
        text = expression.wordings[0]
        side = text.split()[-1]
        axis = 0 if side in ("top", "bottom") else 1
        rivals = sorted(_named(labelled.things, text), key=lambda i: labelled.things[i].centre[axis])
        if side in ("right", "bottom"):
            rivals.reverse()
        place = next(i for i, word in enumerate(order) if word in text.split())
        assert rivals[place] == expression.targets[0], text


def test_corners_hold_one_candidate() -> None:
    for labelled, expression in (pair for pair in FOUND if pair[1].kind == "corner"):
        text = expression.wordings[0]
        rivals = []
        for i in _named(labelled.things, text):
            row, column = np.array(labelled.things[i].centre) / labelled.shape
            if (row < 0.5) == ("top" in text) and (column < 0.5) == ("left" in text.split()):
                rivals.append(i)
        assert rivals == list(expression.targets), text


def test_neighbours_are_the_nearest() -> None:
    for labelled, expression in (pair for pair in FOUND if pair[1].kind == "next"):
        text = expression.wordings[0]
        landmarks = _named(labelled.things, text.split(" next to the ")[1])
        assert len(landmarks) == 1, text
        centres = np.array([thing.centre for thing in labelled.things]) / labelled.shape
        rivals = [i for i in _named(labelled.things, text) if i != landmarks[0]]
        distances = np.hypot(*(centres[rivals] - centres[landmarks[0]]).T)
        assert rivals[int(distances.argmin())] == expression.targets[0], text


def test_a_tie_makes_no_sentence() -> None:
    things = [Thing("cat", (40, 10, 60, 30), 400), Thing("cat", (40, 12, 60, 32), 400)]
    assert {expression.kind for expression in expressions(things, (100, 100))} == {"all"}


def test_an_unclear_colour_silences_colours() -> None:
    things = [Thing("cat", (0, 0, 9, 9), 81, "black"), Thing("cat", (0, 80, 9, 99), 81)]
    texts = " ".join(text for expression in expressions(things, (100, 100)) for text in expression.wordings)
    assert "black" not in texts and "left" in texts


def test_choose_repeats_with_the_same_generator() -> None:
    found = expressions(SCENES.labelled(0).things, SCENES.labelled(0).shape)
    assert choose(found, np.random.default_rng(1)) == choose(found, np.random.default_rng(1))
    assert len({choose(found, np.random.default_rng(seed)) for seed in range(30)}) > 3


def test_generalised_questions_may_have_no_answer_and_plain_ones_have_one() -> None:
    none = 0
    for seed in range(60):
        sample = SCENES.sample(0, np.random.default_rng(seed), Task.GENERALISED_REFERRING)
        assert isinstance(sample.condition, SentenceCondition)
        none += len(sample.masks) == 0
        assert len(SCENES.sample(0, np.random.default_rng(seed), Task.REFERRING).masks) == 1
    assert 0 < none < 30
