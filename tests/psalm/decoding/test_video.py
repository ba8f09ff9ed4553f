"""Each object keeps a query of its own, and confused masks are not remembered."""

from __future__ import annotations

import numpy as np
import torch

from psalm.decoding.video import distinct_queries, fuse_objects, largest_overlap, may_be_remembered


def bar(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((4, 20), dtype=bool)
    mask[:, start:stop] = True
    return mask


def test_no_two_objects_share_a_query() -> None:
    scores = torch.tensor([[0.9, 0.9, 0.9], [0.5, 0.8, 0.7], [0.1, 0.2, 0.6]])
    assert distinct_queries(scores) == [0, 1, 2]
    assert distinct_queries(scores.flip(1)) == [0, 1, 2]
    assert distinct_queries(scores[:, :1]) == [0]


def test_later_objects_are_seen_where_masks_overlap() -> None:
    fused = fuse_objects(np.stack([bar(0, 10), bar(8, 12)]), [3, 7])
    assert fused[0].tolist() == [3] * 8 + [7] * 4 + [0] * 8


def test_masks_that_overlap_much_are_not_remembered() -> None:
    apart, close = np.stack([bar(0, 10), bar(6, 16)]), np.stack([bar(0, 10), bar(2, 12)])
    assert largest_overlap(apart) == 4 / 16 and may_be_remembered(apart)
    assert largest_overlap(close) == 8 / 12 and not may_be_remembered(close)
    assert may_be_remembered(apart[:1]) and may_be_remembered(np.zeros((2, 4, 4), dtype=bool))
