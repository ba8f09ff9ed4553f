from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from psalm.modeling.projector import Projector


@pytest.mark.parametrize(("size", "tokens"), [((6, 6), 9), ((5, 4), 6), ((1, 1), 1)])
def test_tokens_of_half_the_side(size, tokens):
    assert Projector(8, 16, 12)(torch.randn(2, 8, *size)).shape == (2, tokens, 12)


def test_tokens_are_row_major():
    """A change in the last column of the first row of tokens does not reach the first token of the last row."""
    projector = Projector(4, 8, 8).eval()
    features = torch.randn(1, 4, 32, 16)
    changed = features.clone()
    changed[:, :, 0, 14:] += 10
    moved = (projector(features) - projector(changed)).abs().amax(2)[0].view(16, 8)
    assert moved[0, 7] > 0
    assert (moved[4:] == 0).all()


def test_batch_equals_singles_in_evaluation():
    projector = Projector(8, 16, 12).eval()
    features = torch.randn(3, 8, 6, 6)
    alone = torch.cat([projector(feature[None]) for feature in features])
    torch.testing.assert_close(projector(features), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("image", ["A", "B", "C", "D2", "D3"])
def test_parity_with_the_official_projector(golden, vision_weights, image):
    projector = Projector(128, 96, 64).eval()
    projector.load_state_dict(vision_weights("projector"))
    expected = load_file(golden(f"img_{image}.safetensors"))
    with torch.no_grad():
        tokens = projector(expected["res5"])
    torch.testing.assert_close(tokens, expected["mm_projector"], rtol=0, atol=1e-4)


@torch.no_grad()
def test_tokens_can_be_averaged_in_squares() -> None:
    torch.manual_seed(0)
    fine, coarse = Projector(8, 16, 12).eval(), Projector(8, 16, 12, pool=2).eval()
    coarse.load_state_dict(fine.state_dict())
    features = torch.randn(1, 8, 12, 8)
    tokens = fine(features).reshape(3, 2, 2, 2, 12).mean((1, 3))
    torch.testing.assert_close(coarse(features)[0], tokens.reshape(6, 12), atol=1e-5, rtol=1e-4)
    assert coarse(torch.randn(1, 8, 10, 10)).shape == (1, 9, 12)
