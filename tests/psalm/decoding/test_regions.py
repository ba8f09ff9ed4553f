"""Many regions, asked in parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from psalm.conditions import RegionKind, VisualPriorCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.regions import decode_interactive, join_regions
from psalm.decoding.thresholds import Thresholds
from psalm.image_transform import Frame
from psalm.proposals import MaskProposals

Mask = NDArray[np.bool_]


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


def answer(masks: torch.Tensor, region: Mask, kind: RegionKind, judged: bool = True) -> Mask:
    """What is found for one region of an image as large as the model's."""
    quality = torch.ones(1) if judged else None
    queries = QueryMasks(masks, Frame((64, 96), (64, 96), 96), quality)
    condition = VisualPriorCondition(region[None], (kind,))
    return np.asarray(decode_interactive(queries, torch.ones(1, 1), condition, Thresholds()).masks[0])


@pytest.mark.parametrize("scale", [1, 2])  # of the proposals; small ones are enlarged
def test_outside_of_its_box_a_pixel_must_be_surer(scale: int) -> None:
    proposal = torch.full((1, 96 // scale, 96 // scale), -5.0)
    proposal[0, 8 // scale : 40 // scale, 8 // scale : 80 // scale] = 0.5
    proposal[0, 16 // scale : 24 // scale, 8 // scale : 88 // scale] = 5.0  # reaches beyond the box, and surely
    box = np.zeros((64, 96), dtype=bool)
    box[4:48, 20:60] = True
    free, heeded = answer(proposal, box, "mask"), answer(proposal, box, "box")
    assert np.array_equal(heeded[box], free[box])
    assert free[34, 10] and free[34, 70] and not heeded[34, 10] and not heeded[34, 70]
    assert heeded[20, 10] and heeded[20, 85]
    assert np.array_equal(answer(proposal, box, "box", judged=False), free)
