"""A share of a collection: which samples are left."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from psalm.data.scenes import SceneSamples
from psalm.data.subset import Subset


class Numbered:
    """A collection that answers with the index it was asked for."""

    sources = ("a",) * 10 + ("b",) * 3

    def __len__(self) -> int:
        return len(self.sources)

    def sample(self, index: int, *rest: object) -> int:
        return index


@pytest.mark.parametrize(("share", "chosen"), [(1, list(range(13))), (0.3, [0, 4, 9, 10]), (0.001, [0, 10])])
def test_every_source_keeps_its_share_and_at_least_one(share: float, chosen: list[int]):
    subset = Subset(Numbered(), share)
    assert [subset.sample(index) for index in range(len(subset))] == chosen
    assert subset.sources == [Numbered.sources[index] for index in chosen]


def test_samples_are_those_of_the_whole_collection():
    whole = SceneSamples(20, seed=3)
    subset = pickle.loads(pickle.dumps(Subset(whole, 0.2)))
    assert 1 <= len(subset) < 20
    index = subset._chosen[-1]
    assert np.array_equal(subset.labelled(len(subset) - 1).image, whole.labelled(index).image)
    assert subset.sentence_lists == whole.sentence_lists
