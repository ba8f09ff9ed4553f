"""From a visual prior to one embedding: pooling of the projected image inside a region (PSALM, section 3.1).

The published model draws 256 points inside the region at random and averages what it samples there. `pool_masks` is the
exact mean over every pixel of the region, to which that average tends; `pool_points` is the published way.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def pool_masks(image_tokens: Tensor, masks: Tensor) -> Tensor:
    """Mean of the image over each region, (R, D).

    Parameters
    ----------
    image_tokens : (T, D) tensor
        Projected image, a square grid in row-major order.
    masks : (R, S, S) tensor of bool
        Regions on the model image.
    """
    side = math.isqrt(image_tokens.shape[0])
    # Bilinear sampling is separable, so the sum over all pixels of a region is a product of two small matrices.
    reach = _bilinear_weights(masks.shape[-1], side).to(image_tokens)
    inside = masks.to(image_tokens)
    weights = (reach.T @ inside @ reach).flatten(1)
    pixels = inside.sum(dim=(1, 2)).clamp(min=1)
    return weights @ image_tokens / pixels[:, None]


def pool_points(image_tokens: Tensor, points: Tensor) -> Tensor:
    """Mean of the image over points of each region, (R, D).

    Parameters
    ----------
    image_tokens : (T, D) tensor
        Projected image, a square grid in row-major order.
    points : (R, P, 2) tensor
        (row, column) of each point as a fraction of the image side.
    """
    side = math.isqrt(image_tokens.shape[0])
    grid = image_tokens.T.reshape(1, -1, side, side)
    where = 2 * points.flip(-1).to(grid) - 1
    sampled = F.grid_sample(grid, where[None], mode="bilinear", padding_mode="zeros", align_corners=True)
    return sampled[0].mean(dim=-1).T


def draw_points(masks: Tensor, count: int) -> Tensor:
    """Random pixels of each region, (R, count, 2), as `pool_points` wants them; small regions repeat some.

    Parameters
    ----------
    masks : (R, S, S) tensor of bool
    count : int
    """
    drawn = []
    for mask in masks:
        pixels = mask.nonzero()
        chosen = torch.randperm(len(pixels), device=mask.device)[:count]
        repeats = torch.randint(len(pixels), (count - len(chosen),), device=mask.device)
        drawn.append(pixels[torch.cat([chosen, repeats])])
    return torch.stack(drawn) / masks.shape[-1]


def _bilinear_weights(size: int, side: int) -> Tensor:
    """How much each of `size` pixels takes from each of `side` grid points, (size, side)."""
    at = torch.arange(size) / size * (side - 1)
    return (1 - (at[:, None] - torch.arange(side)).abs()).clamp(min=0)
