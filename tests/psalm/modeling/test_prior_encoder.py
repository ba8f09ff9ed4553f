from __future__ import annotations

import pytest
import torch

from psalm.modeling.features import Regions
from psalm.modeling.prior_encoder import NUM_TOKENS, PriorEncoder


@pytest.fixture
def encoder() -> PriorEncoder:
    torch.manual_seed(0)
    return PriorEncoder(32, image_size=64)


def block(r0: int, c0: int, r1: int, c1: int) -> torch.Tensor:
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[r0:r1, c0:c1] = True
    return mask


def test_a_point_is_encoded_as_the_seed_at_its_centre(encoder: PriorEncoder) -> None:
    tokens, _ = encoder(Regions(block(20, 30, 31, 41)[None], ("point",)), (4, 4))
    torch.testing.assert_close(tokens, encoder.seeds(torch.tensor([[25.5, 35.5]])))


def test_a_box_is_its_two_corners(encoder: PriorEncoder) -> None:
    tokens, _ = encoder(Regions(block(8, 16, 24, 48)[None], ("box",)), (4, 4))
    corners = encoder.positions(torch.tensor([[8.0, 16.0], [24.0, 48.0]])) + encoder.point_embeddings.weight[2:4]
    torch.testing.assert_close(tokens[0, :2], corners)
    torch.testing.assert_close(tokens[0, 2:], encoder.padding_embedding.weight.expand(2, -1))


def test_a_scribble_is_spread_over_its_length(encoder: PriorEncoder) -> None:
    tokens, _ = encoder(Regions(block(30, 4, 32, 60)[None], ("scribble",)), (4, 4))
    assert len({tuple(row.tolist()) for row in tokens[0]}) == NUM_TOKENS


def test_only_a_mask_is_dense(encoder: PriorEncoder) -> None:
    regions = Regions(torch.stack([block(0, 0, 32, 32)] * 2), ("box", "mask"))
    _, dense = encoder(regions, (4, 4))
    torch.testing.assert_close(dense[0], encoder.no_mask_embedding.weight[0][:, None, None].expand(-1, 4, 4))
    assert (dense[1, :, 0, 0] - dense[1, :, 3, 3]).abs().max() > 1e-3


def test_a_region_that_vanished_still_gets_a_token(encoder: PriorEncoder) -> None:
    tokens, _ = encoder(Regions(torch.zeros(1, 64, 64, dtype=torch.bool), ("point",)), (4, 4))
    assert torch.isfinite(tokens).all()


def test_the_grid_has_the_positions_of_its_cells(encoder: PriorEncoder) -> None:
    grid = encoder.grid(4, 8)
    torch.testing.assert_close(grid[0, :, 1, 2], encoder.positions(torch.tensor([24.0, 20.0])))


def test_less_exact_weights_give_all_parts_alike(encoder: PriorEncoder) -> None:
    encoder.to(torch.bfloat16)
    tokens, dense = encoder(Regions(block(8, 16, 24, 48)[None], ("mask",)), (4, 4))
    parts = (tokens, dense, encoder.grid(4, 4), encoder.seeds(torch.tensor([[25.5, 35.5]])))
    assert {part.dtype for part in parts} == {torch.bfloat16}
