from __future__ import annotations

import numpy as np
import pytest

from psalm.annotations import Annotations, Category
from psalm.errors import AnnotationError
from psalm.joining import join


def answer(names: tuple[str, ...], ids: tuple[int, ...], size: tuple[int, int] = (4, 6)) -> Annotations:
    categories = tuple(Category(i + 1, name) for i, name in enumerate(names))
    masks = np.ones((len(ids), *size), dtype=bool)
    return Annotations(masks, np.array(ids), np.full(len(ids), 0.5), categories, tuple(f"asked {i}" for i in ids))


def test_names_keep_their_objects():
    joined = join([answer(("cell", "coin"), (2, 1, 2)), answer(("cat", "coin"), (1, 2)), answer(("dog",), ())])
    assert joined.names == ("coin", "cell", "coin", "cat", "coin")
    assert [(category.id, category.name) for category in joined.categories] == [
        (1, "cell"),
        (2, "coin"),
        (3, "cat"),
        (4, "dog"),
    ]
    assert joined.prompts == ("asked 2", "asked 1", "asked 2", "asked 1", "asked 2")
    assert joined.masks.shape == (5, 4, 6)


@pytest.mark.parametrize("answers", [[], [answer(("a",), (1,)), answer(("a",), (1,), (5, 6))]])
def test_what_cannot_be_joined(answers):
    with pytest.raises(AnnotationError, match="one image"):
        join(answers)
