"""Several answers about one image as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from psalm.annotations import Annotations, Category
from psalm.errors import AnnotationError


def join(answers: Sequence[Annotations]) -> Annotations:
    """Put the objects of several answers about the same image behind one another.

    Parameters
    ----------
    answers : sequence of Annotations
        At least one, all with masks of the same (height, width). Categories with the same name become one; ids are
        given anew from 1, in the order in which the names come.

    Raises
    ------
    AnnotationError
        When there is no answer, or sizes differ.
    """
    sizes = {answer.size for answer in answers}
    if len(sizes) != 1:
        raise AnnotationError(f"Answers have the image sizes {sorted(sizes)}: join answers about one image.")
    categories: dict[str, Category] = {}
    for category in (category for answer in answers for category in answer.categories):
        new = Category(len(categories) + 1, category.name, category.is_thing, category.supercategory)
        categories.setdefault(category.name, new)
    return Annotations(
        np.concatenate([answer.masks for answer in answers]),
        np.array([categories[name].id for answer in answers for name in answer.names], dtype=np.int64),
        np.concatenate([answer.scores for answer in answers]),
        tuple(categories.values()),
        tuple(prompt for answer in answers for prompt in answer.prompts),
    )
