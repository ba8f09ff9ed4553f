"""Decoded masks as `Annotations`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, Condition, SentenceCondition
from psalm.cutouts import Cutout

REGION_CATEGORY = "object"


def prompt_texts(condition: Condition) -> tuple[str, ...]:
    """What an object can answer, in words: each name, the sentence, or each region ("point 1")."""
    if isinstance(condition, CategoryCondition):
        return condition.names
    if isinstance(condition, SentenceCondition):
        return (condition.text,)
    return tuple(f"{kind} {i + 1}" for i, kind in enumerate(condition.kinds))


def categories_of(condition: Condition) -> tuple[Category, ...]:
    """The categories of the result, ids from 1 in the order of the class list; a sentence is its own category."""
    if isinstance(condition, CategoryCondition):
        pairs = zip(condition.names, condition.is_thing, strict=True)
        return tuple(Category(i + 1, name, is_thing) for i, (name, is_thing) in enumerate(pairs))
    return (Category(1, condition.text if isinstance(condition, SentenceCondition) else REGION_CATEGORY),)


def to_annotations(
    condition: Condition,
    size: tuple[int, int],
    cutouts: Sequence[Cutout],
    answered: Sequence[int],
    scores: Sequence[float],
) -> Annotations:
    """Collect objects.

    Parameters
    ----------
    condition : Condition
    size : (height, width)
    cutouts : sequence of Cutout
    answered : sequence of int
        Which part of the condition each object answers, from 0.
    scores : sequence of float
        Clipped to 1.
    """
    categories, texts = categories_of(condition), prompt_texts(condition)
    is_list = isinstance(condition, CategoryCondition)
    # Zeros that nobody writes to need no memory.
    masks = np.zeros((len(cutouts), *size), dtype=bool)
    for mask, cutout in zip(masks, cutouts, strict=True):
        row0, column0, row1, column1 = cutout.box
        mask[row0:row1, column0:column1] = cutout.mask()
    return Annotations(
        masks,
        np.array([part + 1 if is_list else 1 for part in answered], dtype=np.int64),
        np.clip(np.array(scores, dtype=np.float32), 0, 1),
        categories,
        tuple(texts[part] for part in answered),
    )


def cut(mask: Tensor) -> Cutout | None:
    """A mask (H, W) in its box, wherever it was computed; None when it is empty."""
    return Cutout.from_mask(mask.cpu().numpy())
