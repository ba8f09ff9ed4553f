from __future__ import annotations

import torch

from psalm.modeling.seeds import SeedHead, boxes_at, pick_seeds, reach_loss, seed_targets


def hills(side: int, heights: dict[tuple[int, int], float]) -> torch.Tensor:
    """Centre logits (1, side, side) that fall from their peaks."""
    cells = torch.cartesian_prod(torch.arange(float(side)), torch.arange(float(side))).reshape(side, side, 2)
    slopes = [height - (cells - torch.tensor(peak)).norm(dim=-1) for peak, height in heights.items()]
    return torch.stack(slopes).amax(0)[None]


def cells_of(seeds: torch.Tensor) -> list[tuple[int, int]]:
    """The cells of the seeds of one image, without those of the grid, which is of one here."""
    return [(int(row) // 4, int(column) // 4) for row, column in seeds[0, :-1].tolist()]


def test_the_strongest_peaks_come_first_and_a_grid_joins_them() -> None:
    logits = hills(16, {(3, 4): 4.0, (12, 9): 6.0})
    seeds = pick_seeds(logits, 16)
    assert seeds.shape == (1, 16, 2)
    torch.testing.assert_close(seeds[0, :2], torch.tensor([[12 * 4 + 2.0, 9 * 4 + 2.0], [3 * 4 + 2.0, 4 * 4 + 2.0]]))
    torch.testing.assert_close(seeds[0, -4:], torch.tensor([[16.0, 16], [16, 48], [48, 16], [48, 48]]))


def two_objects() -> torch.Tensor:
    """Masks (2, 64, 64) of a square and a smaller one that touches it."""
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 8:48, 8:40] = True
    masks[1, 16:32, 40:56] = True
    return masks


def test_the_target_is_one_in_the_middle_and_falls_to_the_edge() -> None:
    target = seed_targets(two_objects()[:1])
    assert target.shape == (6, 16, 16)
    centres = target[0]
    assert centres[6, 5] == 1 and 0 < centres[2, 6] < 0.5 and centres[14, 14] == 0


def test_an_object_smaller_than_the_grid_has_a_target() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 20, 33] = True
    target = seed_targets(mask)
    assert target[0, 5, 8] == 1 and target[-1].sum() == 1
    assert (target[1:-1, 5, 8] > 0).all()


def test_an_empty_mask_has_none() -> None:
    assert not seed_targets(torch.zeros(1, 64, 64, dtype=torch.bool)).any()


def test_every_object_counts_as_much_and_its_places_tell_its_box() -> None:
    target = seed_targets(two_objects())
    assert abs(float(target[-1].sum()) - 2) < 1e-5
    middles = torch.tensor([[26.0, 22.0], [22.0, 46.0]])
    boxes = boxes_at(target[1:-1], middles)
    torch.testing.assert_close(boxes, torch.tensor([[[8.0, 8], [48, 40]], [[16, 40], [32, 56]]]))


def test_boxes_end_at_the_edge_of_the_image() -> None:
    boxes = boxes_at(torch.full((4, 16, 16), 50.0), torch.tensor([[10.0, 32.0]]))
    torch.testing.assert_close(boxes, torch.tensor([[[0.0, 0], [60, 64]]]))


def test_an_object_with_several_peaks_is_looked_at_once_while_others_are_left() -> None:
    logits = hills(32, {(4, 4): 9.0, (4, 20): 8.0, (24, 8): 7.0, (24, 24): 6.0})
    reach = torch.full((1, 4, 32, 32), 4.0)
    # The first two peaks tell of one long box.
    reach[0, :, 4, 4], reach[0, :, 4, 20] = torch.tensor([8.0, 12, 8, 90]), torch.tensor([8.0, 76, 8, 26])
    assert cells_of(pick_seeds(logits, 4)) == [(4, 4), (4, 20), (24, 8)]
    assert cells_of(pick_seeds(logits, 4, reach)) == [(4, 4), (24, 8), (24, 24)]
    everywhere = torch.full((1, 4, 32, 32), 500.0)
    assert pick_seeds(logits, 4, everywhere).shape == (1, 4, 2), "as many seeds as ever, though all tell of one box"


def test_the_loss_is_none_for_true_boxes_and_a_half_for_boxes_of_half_the_area() -> None:
    target = seed_targets(two_objects())[None]
    true = target[:, 1:-1]
    assert reach_loss(true, target) < 1e-6
    narrow = true * torch.tensor([1, 0.5, 1, 0.5]).view(1, 4, 1, 1)
    torch.testing.assert_close(reach_loss(narrow, target), torch.tensor(0.5))


def test_the_head_answers_at_a_quarter_of_the_image() -> None:
    maps = torch.randn(2, 8, 4, 5), torch.randn(2, 4, 8, 10)
    centres, reach = SeedHead(8, 4, 16)(*maps)
    assert centres.shape == (2, 16, 20) and reach is None
    centres, reach = SeedHead(8, 4, 16, boxes=True)(*maps)
    assert reach is not None and reach.shape == (2, 4, 16, 20) and (reach > 0).all()
