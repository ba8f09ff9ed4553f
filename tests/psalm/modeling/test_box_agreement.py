from __future__ import annotations

import pytest
import torch

from psalm.modeling.box_agreement import extents, heed_boxes
from psalm.modeling.features import Regions


def block(side: int, r0: int, c0: int, r1: int, c1: int) -> torch.Tensor:
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[r0:r1, c0:c1] = True
    return mask


BOX = block(64, 8, 16, 40, 48)
FILLS, FALLS_SHORT, EMPTY = block(16, 2, 4, 10, 12), block(16, 2, 4, 6, 8), block(16, 0, 0, 0, 0)
DRAFTS = torch.stack([FALLS_SHORT, FILLS, EMPTY])[None]


def test_the_draft_that_fills_its_box_is_preferred() -> None:
    heeded = heed_boxes(torch.tensor([[0.8, 0.79, 0.8]]), DRAFTS, Regions(BOX[None], ("box",)))
    assert heeded[0].argmax() == 1
    assert heeded[0, 1] == pytest.approx(0.79**0.7)
    assert heeded[0, 0] == pytest.approx(0.8**0.7 * 0.25**0.3)
    assert heeded[0, 2] == 0


def test_an_estimate_that_is_much_better_outweighs_the_box() -> None:
    heeded = heed_boxes(torch.tensor([[0.95, 0.4, 0.1]]), DRAFTS, Regions(BOX[None], ("box",)))
    assert heeded[0].argmax() == 0


def test_other_kinds_keep_their_estimates() -> None:
    quality = torch.tensor([[0.8, 0.79, 0.5], [0.8, 0.79, 0.5]])
    regions = Regions(torch.stack([BOX, BOX]), ("point", "box"))
    heeded = heed_boxes(quality, DRAFTS.expand(2, -1, -1, -1), regions)
    torch.testing.assert_close(heeded[0], quality[0])
    assert heeded[1].argmax() == 1


def test_extents_end_behind_the_last_pixel() -> None:
    assert extents(torch.stack([FILLS, EMPTY])).tolist() == [[4, 2, 12, 10], [0, 0, 0, 0]]
