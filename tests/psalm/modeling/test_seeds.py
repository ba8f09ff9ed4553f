from __future__ import annotations

import torch

from psalm.modeling.seeds import SeedHead, centre_targets, pick_seeds


def test_the_strongest_peaks_come_first_and_a_grid_joins_them() -> None:
    cells = torch.cartesian_prod(torch.arange(16.0), torch.arange(16.0)).reshape(16, 16, 2)
    distances = [(cells - torch.tensor(peak)).norm(dim=-1) for peak in ((3.0, 4.0), (12.0, 9.0))]
    logits = torch.maximum(4 - distances[0], 6 - distances[1])[None]
    seeds = pick_seeds(logits, 16)
    assert seeds.shape == (1, 16, 2)
    torch.testing.assert_close(seeds[0, :2], torch.tensor([[12 * 4 + 2.0, 9 * 4 + 2.0], [3 * 4 + 2.0, 4 * 4 + 2.0]]))
    torch.testing.assert_close(seeds[0, -4:], torch.tensor([[16.0, 16], [16, 48], [48, 16], [48, 48]]))


def test_the_target_is_one_in_the_middle_and_falls_to_the_edge() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 8:48, 8:48] = True
    target = centre_targets(mask)
    assert target.shape == (16, 16)
    assert target[6, 6] == 1 and 0 < target[2, 6] < 0.5 and target[14, 14] == 0


def test_an_object_smaller_than_the_grid_has_a_target() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 20, 33] = True
    assert centre_targets(mask)[5, 8] == 1


def test_the_head_answers_at_a_quarter_of_the_image() -> None:
    assert SeedHead(8, 4, 16)(torch.randn(2, 8, 4, 5), torch.randn(2, 4, 8, 10)).shape == (2, 16, 20)
