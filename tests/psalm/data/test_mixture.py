from __future__ import annotations

import numpy as np
import pytest

from psalm.conditions import Task
from psalm.data.mixture import Mixture
from psalm.data.sample import Sample
from psalm.data.scenes import SceneSamples
from psalm.errors import AnnotationError


class _Counted:
    """A collection that only remembers what is asked of it."""

    def __init__(self, sources: list[str]) -> None:
        self.sources = sources

    def __len__(self) -> int:
        return len(self.sources)

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Sample:
        raise NotImplementedError


def test_steps_are_independent_of_each_other() -> None:
    scenes = SceneSamples(20, seed=0, size=(96, 128))
    mixture = Mixture([(scenes, 1.0)])
    later = mixture.sample(7, seed=5)
    assert mixture.sample(3, seed=5).key != "" and mixture.sample(7, seed=5).key == later.key
    again = Mixture([(scenes, 1.0)]).sample(7, seed=5)
    assert (again.masks == later.masks).all() and str(again.condition) == str(later.condition)
    assert {mixture.draw(step, 5) for step in range(30)} != {mixture.draw(step, 6) for step in range(30)}
    assert mixture.sample(7, seed=5, task=Task.INTERACTIVE).task is Task.INTERACTIVE


def test_small_sources_are_seen() -> None:
    members = [(_Counted(["many"] * 900 + ["few"] * 9), 1.0)]
    share = {
        temper: np.mean([Mixture(members, temper).draw(step)[1] >= 900 for step in range(800)])
        for temper in (1.0, 0.5, 0.0)
    }
    assert share[1.0] < 0.03 < share[0.5] < 0.2 < share[0.0] < 0.6


def test_weights_choose_the_member() -> None:
    mixture = Mixture([(_Counted(["a"]), 3.0), (_Counted(["b"]), 1.0)])
    first = np.mean([mixture.draw(step)[0] == 0 for step in range(600)])
    assert 0.68 < first < 0.82


def test_every_image_has_its_turn() -> None:
    mixture = Mixture([(SceneSamples(2, seed=0, size=(96, 128)), 1.0), (SceneSamples(1, seed=1, size=(96, 128)), 9.0)])
    keys = [mixture.in_turn(number, seed=3).key for number in range(6)]
    assert len(set(keys)) == 3 and keys[:3] == keys[3:]
    asked = [str(mixture.in_turn(number, seed=3, task=Task.INSTANCE).condition) for number in (0, 3, 0)]
    assert asked[0] == asked[2] != asked[1]  # in its next turn an image is asked something else


def test_a_mixture_of_nothing_is_refused() -> None:
    with pytest.raises(AnnotationError):
        Mixture([])
    with pytest.raises(AnnotationError):
        Mixture([(_Counted(["a"]), 0.0)])
