from __future__ import annotations

import numpy as np

from psalm.coco.rle import encode_mask
from psalm.prelabel.matching import ious, match


def box(start: int, stop: int):
    mask = np.zeros((10, 40), dtype=bool)
    mask[:, start:stop] = True
    return encode_mask(mask)


def test_ious_are_those_of_the_masks():
    assert np.allclose(ious([box(0, 10), box(20, 30)], [box(5, 15)]), [[1 / 3], [0]])
    assert ious([], [box(0, 1)]).shape == (0, 1)


def test_each_object_is_in_the_best_pair_alone():
    pairs = match([("a", box(0, 10)), ("a", box(1, 11))], [("a", box(1, 11)), ("a", box(2, 12))])
    assert [(pair.first, pair.second) for pair in pairs] == [(1, 0), (0, 1)]
    assert pairs[0].iou == 1


def test_categories_and_poor_overlaps_do_not_match():
    assert match([("a", box(0, 10))], [("b", box(0, 10))]) == []
    assert match([("a", box(0, 10))], [("a", box(5, 15))]) == []
    assert len(match([("a", box(0, 10))], [("a", box(5, 15))], least_iou=0.3)) == 1
    assert match([], []) == match([("a", box(0, 1))], []) == []
