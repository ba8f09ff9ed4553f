"""Panoptic quality, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.annotations import Annotations, Category
from psalm.evaluation.label_maps import TrueSegments, paint
from psalm.evaluation.panoptic import Counts, match

CATEGORIES = (Category(1, "cell"), Category(2, "sky", False))


def strip(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((1, 40), bool)
    mask[0, start:stop] = True
    return mask


def truth_of(*segments: tuple[np.ndarray, int, bool]) -> TrueSegments:
    masks, ids, crowds = zip(*segments, strict=True)
    return TrueSegments(paint(list(masks), (1, 40)), tuple(ids), tuple(crowds))


def found_of(*segments: tuple[np.ndarray, int]) -> tuple[Annotations, list[int]]:
    masks, ids = zip(*segments, strict=True)
    return Annotations(np.stack(masks), list(ids), [0.9] * len(ids), CATEGORIES), list(ids)


def test_by_hand():
    truth = truth_of((strip(0, 10), 1, False), (strip(10, 20), 1, False), (strip(20, 30), 2, False))
    found = found_of(
        (strip(0, 8), 1),  # IoU 8 / 10: a match
        (strip(15, 20), 1),  # IoU 5 / 10: not above one half
        (strip(20, 30), 2),  # exact
        (strip(30, 36), 1),  # on unlabelled ground
    )
    counts = match(truth, *found, void=False)
    assert counts == {1: Counts(0.8, 1, 2, 1), 2: Counts(1.0, 1, 0, 0)}
    assert counts[1].quality() == {"pq": pytest.approx(0.8 / 2.5), "sq": 0.8, "rq": pytest.approx(1 / 2.5)}
    assert counts[2].quality() == {"pq": 1, "sq": 1, "rq": 1}
    # where the unlabelled is void, the object there is neither right nor wrong
    assert match(truth, *found, void=True)[1] == Counts(0.8, 1, 1, 1)


def test_void_does_not_count_in_the_union():
    truth = truth_of((strip(0, 10), 1, False))
    found = found_of((strip(0, 15), 1))
    assert match(truth, *found, void=True)[1] == Counts(1.0, 1, 0, 0)
    assert match(truth, *found, void=False)[1] == Counts(pytest.approx(10 / 15), 1, 0, 0)


def test_the_category_must_agree():
    counts = match(truth_of((strip(0, 10), 1, False)), *found_of((strip(0, 10), 2)), void=False)
    assert counts == {1: Counts(0, 0, 0, 1), 2: Counts(0, 0, 1, 0)}


def test_a_crowd_is_neither_missed_nor_found():
    truth = truth_of((strip(0, 20), 1, True))
    inside = match(truth, *found_of((strip(0, 9), 1)), void=False)
    assert inside[1] == Counts() and inside[1].quality()["pq"] is None
    mostly_outside = match(truth, *found_of((strip(15, 30), 1)), void=False)
    assert mostly_outside[1] == Counts(0, 0, 1, 0)


def test_nothing_predicted():
    empty = Annotations(np.zeros((0, 1, 40), bool), [], [], CATEGORIES)
    assert match(truth_of((strip(0, 10), 1, False)), empty, [], void=True) == {1: Counts(0, 0, 0, 1)}


def test_of_shifted_masks(folder, shifted):
    from psalm.evaluation import evaluate

    result = evaluate(shifted, folder / "coco.json", folder, "panoptic")
    # image 3 is not exhaustive: what its square covers beside the truth is void
    cell = (80 / 120 + 80 / 120 + 80 / 100) / 3
    assert result["per_category"]["cell"]["pq"] == pytest.approx(cell)
    assert result["overall"]["pq"] == pytest.approx((cell + 80 / 120 + 1) / 3)
    assert result["overall"]["rq"] == 1 and result["overall"]["pq_stuff"] == 1
    assert result["overall"]["pq_things"] == pytest.approx((cell + 80 / 120) / 2)
