"""Figures of known answers."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, SentenceCondition, Task, VisualPriorCondition
from psalm.data.sample import Sample
from psalm.training.validation import measure

IMAGE = np.zeros((20, 20, 3), dtype=np.uint8)


def box(r0: int, c0: int, r1: int, c1: int) -> np.ndarray:
    mask = np.zeros((20, 20), dtype=bool)
    mask[r0:r1, c0:c1] = True
    return mask


ONE, TWO, HALF = box(0, 0, 10, 10), box(10, 10, 20, 20), box(0, 0, 10, 5)


def answer(
    masks: list[np.ndarray], ids: list[int], prompts: tuple[str, ...] = (), scores: tuple[float, ...] = ()
) -> Annotations:
    categories = (Category(1, "cell"), Category(2, "nucleus"))
    stacked = np.stack(masks) if masks else np.zeros((0, 20, 20), dtype=bool)
    given = np.array(scores) if scores else np.ones(len(ids))
    return Annotations(stacked, np.array(ids, dtype=np.int64), given, categories, prompts)


def test_class_lists_need_the_right_name() -> None:
    condition = CategoryCondition(("cell", "nucleus"))
    sample = Sample(IMAGE, Task.INSTANCE, condition, np.stack([ONE, TWO]), np.array([0, 1]))
    assert measure(sample, answer([ONE, TWO], [1, 2])) == {"recall": [1, 1], "precision": [1, 1], "ap50": [1, 1]}
    assert measure(sample, answer([TWO], [1])) == {"recall": [0, 0], "precision": [0], "ap50": [0, 0]}
    assert measure(sample, answer([ONE, ONE], [1, 1])) == {"recall": [1, 0], "precision": [1, 0], "ap50": [1, 0]}
    assert measure(sample, answer([], [])) == {"recall": [0, 0], "precision": [], "ap50": [0, 0]}


def test_what_scores_too_low_is_ranked_but_not_shown() -> None:
    sample = Sample(
        IMAGE, Task.INSTANCE, CategoryCondition(("cell", "nucleus")), np.stack([ONE, TWO]), np.array([0, 1])
    )
    first = answer([ONE, ONE, TWO], [1, 2, 2], scores=(0.4, 0.8, 0.2))
    assert measure(sample, first, 0.3) == {
        "recall": [1, 0], "precision": [1, 0], "ap50": [pytest.approx(1 / 2), pytest.approx(2 / 3)],
    }  # fmt: skip
    assert measure(sample, first, 0.9) == {"recall": [0, 0], "precision": [], "ap50": [1 / 2, pytest.approx(2 / 3)]}


def test_precision_needs_exhaustive_labels() -> None:
    sample = Sample(IMAGE, Task.INSTANCE, CategoryCondition(("cell",)), ONE[None], np.array([0]), exhaustive=False)
    assert measure(sample, answer([ONE, TWO], [1, 1])) == {"recall": [1]}


def test_a_sentence_is_found_at_half() -> None:
    sample = Sample(IMAGE, Task.REFERRING, SentenceCondition("the cell"), ONE[None], np.array([0]))
    assert measure(sample, answer([HALF], [1])) == {"iou": [pytest.approx(0.5)], "found": [1]}
    assert measure(sample, answer([], [])) == {"iou": [0], "found": [0]}


def test_regions_are_told_apart_by_their_prompt() -> None:
    condition = VisualPriorCondition(np.stack([ONE, TWO]), ("point", "box"))
    sample = Sample(IMAGE, Task.INTERACTIVE, condition, np.stack([ONE, TWO]), np.array([0, 1]))
    scores = measure(sample, answer([TWO], [1], ("box 2",)))
    assert scores == {"iou": [0, 1], "point iou": [0], "box iou": [1]}
