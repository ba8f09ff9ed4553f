"""Many regions, asked in parts."""

from __future__ import annotations

import torch

from psalm.decoding.regions import join_regions
from psalm.proposals import MaskProposals


def part(queries: int, regions: int, quality: bool = True) -> MaskProposals:
    masks, logits = torch.randn(2, queries, 4, 4), torch.randn(2, queries, regions)
    return MaskProposals(masks, logits, (regions,) * 2, torch.rand(2, queries) if quality else None)


def test_a_region_is_met_by_proposals_of_its_own_part_alone():
    torch.manual_seed(0)
    parts = [part(8, 2), part(4, 1), part(12, 3)]
    joined = join_regions(parts)
    assert joined.num_conditions == (6, 6) and joined.condition_logits.shape == (2, 24, 6)
    chances = joined.condition_logits.sigmoid()
    torch.testing.assert_close(chances[:, 8:12, 2:3], parts[1].condition_logits.sigmoid())
    assert chances[:, 8:12, [0, 1, 3, 4, 5]].max() == 0
    torch.testing.assert_close(joined.mask_logits[:, 12:], parts[2].mask_logits)
    assert joined.quality is not None and torch.equal(joined.quality[:, :8], parts[0].quality)  # type: ignore[arg-type]


def test_one_part_stays_as_it_is_and_quality_is_not_invented():
    one = part(3, 2, quality=False)
    assert join_regions([one]) is one
    assert join_regions([one, part(3, 1, quality=False)]).quality is None
