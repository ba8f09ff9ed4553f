"""The share of right objects per score follows from recall and precision at each threshold."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from tools.choose_threshold import THRESHOLDS, draw, shares


def _rows(scores: np.ndarray, right: np.ndarray, objects: int) -> list[tuple[float, float, float]]:
    shown = [scores >= threshold for threshold in THRESHOLDS]
    return [(right[each].sum() / objects, right[each].mean() if each.any() else 0.0, 0.0) for each in shown]


def test_shares_are_those_of_the_objects_with_a_score() -> None:
    scores = np.array([0.52, 0.53, 0.54, 0.96, 0.97])
    right = np.array([True, False, False, True, True])
    found = {round(middle, 3): (share, weight) for middle, share, weight in shares(_rows(scores, right, 8))}
    assert found == {0.525: (pytest.approx(1 / 3), pytest.approx(0.6)), 0.975: (pytest.approx(1), pytest.approx(0.4))}


def test_the_picture_has_a_disc_per_score() -> None:
    drawn = ElementTree.fromstring(draw({"photographs": [(0.5, 0.25, 1.0)], "scenes": []}))
    (disc,) = drawn.iter("{http://www.w3.org/2000/svg}circle")
    assert (float(disc.get("cx", "")), float(disc.get("cy", ""))) == (46 + 160, 46 + 240)
