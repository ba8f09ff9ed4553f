from __future__ import annotations

import pytest
import torch

from psalm.modeling.features import Regions
from psalm.modeling.prior_encoder import NUM_TOKENS, PriorEncoder, marks_of


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


def test_exclusions_take_the_tokens_that_are_left_nearest_first() -> None:
    excluded = torch.stack([block(50, 50, 53, 53), block(20, 40, 23, 43), block(2, 2, 5, 5), block(60, 60, 63, 63)])
    regions = Regions(torch.stack([block(20, 20, 31, 31), block(10, 10, 40, 40)]), ("point", "box"))
    points, labels = marks_of(regions, excluded)
    assert labels.tolist() == [[1, 0, 0, 0], [2, 3, 0, 0]]
    assert points[0, 1:].tolist() == [[21.5, 41.5], [3.5, 3.5], [51.5, 51.5]]
    assert points[1, 2:].tolist() == [[21.5, 41.5], [3.5, 3.5]]


def test_a_scribble_gives_up_a_point_for_an_exclusion() -> None:
    scribble = Regions(block(30, 4, 32, 60)[None], ("scribble",))
    assert marks_of(scribble, block(40, 40, 42, 42)[None])[1].tolist() == [[1, 1, 1, 0]]
    assert marks_of(scribble, torch.zeros(0, 64, 64, dtype=torch.bool))[1].tolist() == [[1, 1, 1, 1]]


def test_a_click_keeps_what_lies_under_itself() -> None:
    click = Regions(block(20, 20, 31, 31)[None], ("point",))
    assert marks_of(click, block(24, 24, 27, 27)[None])[1].tolist() == [[1, -1, -1, -1]]


def test_an_exclusion_that_is_bent_is_marked_on_itself() -> None:
    bent = block(10, 10, 40, 12) | block(38, 10, 40, 40)
    row, column = marks_of(Regions(block(20, 30, 25, 35)[None], ("point",)), bent[None])[0][0, 1].long().tolist()
    assert bent[row, column]


def test_the_grid_has_the_positions_of_its_cells(encoder: PriorEncoder) -> None:
    grid = encoder.grid(4, 8)
    torch.testing.assert_close(grid[0, :, 1, 2], encoder.positions(torch.tensor([24.0, 20.0])))


def test_less_exact_weights_give_all_parts_alike(encoder: PriorEncoder) -> None:
    encoder.to(torch.bfloat16)
    tokens, dense = encoder(Regions(block(8, 16, 24, 48)[None], ("mask",)), (4, 4))
    parts = (tokens, dense, encoder.grid(4, 4), encoder.seeds(torch.tensor([[25.5, 35.5]])))
    assert {part.dtype for part in parts} == {torch.bfloat16}
