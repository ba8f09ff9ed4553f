"""Outlines are drawn anew at twice the resolution, and learn what the drafts cannot show."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from psalm.modeling.fine_masks import FineMasks, enlarge
from psalm.modeling.older_weights import completed
from psalm.modeling.psalm import PSALM
from tests.psalm.modeling.builders import two_way_config


@pytest.fixture
def fine() -> FineMasks:
    torch.manual_seed(0)
    return FineMasks(dim=8, channels=6)


def _drafts(count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.full((count, 24, 24), -5.0)
    for i in range(count):
        logits[i, 4 + i : 12 + i, 6:14] = 5.0
    return logits, torch.randn(count, 8, generator=generator), torch.randn(6, 24, 24, generator=generator)


@torch.no_grad()
def test_a_new_part_enlarges_and_nothing_else(fine: FineMasks) -> None:
    logits, states, level = _drafts()
    drawn = fine(logits, states, level)
    assert drawn.shape == (2, 48, 48)
    torch.testing.assert_close(drawn, F.interpolate(logits[:, None], scale_factor=2, mode="bilinear")[:, 0])


@torch.no_grad()
def test_masks_do_not_mind_each_other_and_an_empty_one_stays_empty(fine: FineMasks) -> None:
    torch.nn.init.normal_(fine.correction.weight)
    logits, states, level = _drafts(3)
    logits[1] = -3.0
    together = fine(logits, states, level)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], fine(logits[i : i + 1], states[i : i + 1], level))
    assert torch.equal(together[1:2], enlarge(logits[1:2])) and not torch.equal(together[:1], enlarge(logits[:1]))
    assert fine(logits[:0], states[:0], level).shape == (0, 48, 48)


@torch.no_grad()
def test_whole_planes_give_what_boxes_give(fine: FineMasks) -> None:
    """A GPU redraws all masks in their planes at once, a processor each in its box."""
    for layer in (fine.correction, fine.style):
        torch.nn.init.normal_(layer.weight, std=0.1)
    logits, states, level = _drafts(4)
    logits[1], logits[2, 20:23, 1:3], logits[3, :, 0] = -3.0, 5.0, 5.0
    images = fine._image(level[None])
    planes = fine._all_redrawn(enlarge(logits), states, images.expand(4, -1, -1, -1))
    torch.testing.assert_close(planes, fine(logits, states, level))


@torch.no_grad()
def test_masks_of_several_images_meet_their_own(fine: FineMasks) -> None:
    torch.nn.init.normal_(fine.correction.weight)
    logits, states, level = _drafts(3)
    levels = torch.stack([level, level.flip(1)])
    together = fine(logits, states, levels, torch.tensor([1, 0, 1]))
    for i, image in enumerate((1, 0, 1)):
        torch.testing.assert_close(together[i], fine(logits[i : i + 1], states[i : i + 1], levels[image])[0])


@torch.no_grad()
def test_what_is_far_from_a_mask_stays_as_it_is(fine: FineMasks) -> None:
    torch.nn.init.normal_(fine.correction.weight)
    logits, states, level = _drafts(1)
    changed = fine(logits, states, level) != enlarge(logits)
    assert changed.any() and not changed[:, 36:].any() and not changed[:, :, 40:].any()


def test_a_line_that_the_draft_cannot_hold_is_learnt_from_the_encoder(fine: FineMasks) -> None:
    """The finest level knows of a line that is half a pixel of the draft wide."""
    truth = torch.zeros(1, 48, 48)
    truth[:, 10:30, 17] = 1
    level = F.pixel_unshuffle(truth, 2)[[1, 3, 1, 3, 1, 3]] + 0.1 * torch.randn(6, 24, 24)
    logits, states = F.avg_pool2d(truth, 2) * 8 - 2, torch.zeros(1, 8)

    def overlap() -> float:
        with torch.no_grad():
            found = fine(logits, states, level) > 0
        return float((found & (truth > 0)).sum() / (found | (truth > 0)).sum())

    before = overlap()
    optimiser = torch.optim.Adam(fine.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(fine(logits, states, level), truth).backward()
        optimiser.step()
    assert before < 0.6 and overlap() > 0.9


def test_weights_of_an_older_small_model_only_enlarge() -> None:
    model = PSALM(two_way_config())
    older = {name: value for name, value in model.state_dict().items() if "fine_masks" not in name}
    assert len(older) < len(model.state_dict())
    model.load_state_dict(completed(older, model))
    logits, _, _ = _drafts()
    part = model.mask_generator.fine_masks
    assert isinstance(part, FineMasks)
    channels, dim = part.image.in_channels, part.style.in_features
    with torch.no_grad():
        drawn = part(logits, torch.randn(2, dim), torch.randn(channels, 24, 24))
    assert torch.equal(drawn, enlarge(logits))
