"""Regions are chosen and joined with all that belongs to them."""

from __future__ import annotations

import torch

from psalm.modeling.features import Regions


def regions(count: int) -> Regions:
    masks = torch.arange(count * 16).reshape(count, 4, 4) % 3 == 0
    kinds = tuple("point" if row % 2 else "box" for row in range(count))
    points = torch.arange(count * 8, dtype=torch.float32).reshape(count, 4, 2)
    return Regions(masks, kinds, (points, torch.ones(count, 4)))


def same(one: Regions, other: Regions) -> bool:
    assert one.marks is not None and other.marks is not None
    tensors = zip((one.masks, *one.marks), (other.masks, *other.marks), strict=True)
    return one.kinds == other.kinds and all(torch.equal(a, b) for a, b in tensors)


def test_parts_join_to_the_whole():
    whole = regions(5)
    assert same(Regions.join([whole.between(0, 2), whole.between(2, 5)]), whole)
    assert same(whole.select([3, 4]), whole.between(3, 5))


def test_a_part_may_reach_beyond_the_last_region():
    """Images of a batch are asked together, and not all have as many regions as the one with most."""
    few = regions(2)
    assert same(few.between(0, 4), few)
    assert few.between(2, 4).kinds == ()
    assert few.between(2, 4).masks.shape == (0, 4, 4)
