"""Pooling of the image inside a region."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from psalm.modeling.region_sampler import draw_points, pool_masks, pool_points

TOKENS = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))


def disc(row: int, column: int, radius: int, size: int = 64) -> torch.Tensor:
    at = torch.arange(size)
    return ((at[:, None] - row) ** 2 + (at - column) ** 2 <= radius**2)[None]


def test_points_equal_the_published_code(golden: Callable[[str], Path]) -> None:
    case = load_file(golden("cases/f_interactive_scribble.safetensors"))
    tokens = load_file(golden("img_B.safetensors"))["mm_projector"][0]
    pooled = pool_points(tokens, case["region_sample_points_yx_0"])
    torch.testing.assert_close(pooled, case["region_feature_0"].flatten(0, 1), atol=1e-5, rtol=1e-5)


def test_mask_pooling_is_the_mean_over_every_pixel() -> None:
    masks = torch.cat([disc(10, 50, 8), disc(60, 60, 9)])
    for mask, pooled in zip(masks, pool_masks(TOKENS, masks), strict=True):
        every_pixel = mask.nonzero()[None] / 64
        torch.testing.assert_close(pooled, pool_points(TOKENS, every_pixel)[0], atol=1e-5, rtol=1e-5)


def test_rows_and_columns_are_not_swapped() -> None:
    grid = torch.zeros(4, 4, 1)
    grid[0] = 1  # the image's first row
    top, left = pool_masks(grid.flatten(0, 1), torch.cat([disc(0, 40, 3), disc(40, 0, 3)]))
    assert top > 0.9 and left < 0.1


def test_drawn_points_lie_inside_and_small_regions_repeat() -> None:
    masks = torch.cat([disc(10, 20, 15), disc(30, 30, 1)])
    points = draw_points(masks, 100)
    pixels = (points * 64).round().long()
    assert points.shape == (2, 100, 2)
    for mask, at in zip(masks, pixels, strict=True):
        assert mask[at[:, 0], at[:, 1]].all()
    assert len(pixels[0].unique(dim=0)) == 100
    assert len(pixels[1].unique(dim=0)) == 5
