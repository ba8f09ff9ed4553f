"""What a mask looks like, as one vector: the features under it, its outline and its place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

OUTLINE = 12  # side of the outline thumbnail
GEOMETRY = 10  # numbers of `_geometry`
WAVES = 4


def describe_masks(maps: tuple[Tensor, ...], masks: Tensor, states: Tensor, quality: Tensor) -> Tensor:
    """Describe the masks of a batch.

    Parameters
    ----------
    maps : tuple of (B, C_i, h_i, w_i) tensors
        Feature maps; each is averaged under the mask.
    masks : (B, Q, h, w) tensor
        Binary masks; an empty one is described by zeros.
    states : (B, Q, C) tensor
        The decoder's state behind each mask (zeros where there is none).
    quality : (B, Q) tensor
        Estimated IoU of each mask.

    Returns
    -------
    (B, Q, C + sum of C_i + OUTLINE ** 2 + GEOMETRY) tensor of float32
    """
    with torch.autocast(masks.device.type, enabled=False):  # areas and places need full precision
        masks = masks.float()
        pooled = [_pool(level.float(), masks) for level in maps]
        boxes, geometry = _geometry(masks, quality.float())
        rois = list(boxes.flatten(0, 1)[:, None])
        outline = roi_align(masks.flatten(0, 1)[:, None], rois, OUTLINE, sampling_ratio=2)
        present = masks.amax((2, 3))[..., None]
        parts = [states.float(), *pooled, outline.reshape(*masks.shape[:2], -1), geometry]
        return torch.cat(parts, dim=-1) * present


def _pool(features: Tensor, masks: Tensor) -> Tensor:
    """Average of (B, C, h, w) features under each mask, weighted by cover."""
    cover = F.interpolate(masks, features.shape[-2:], mode="area") + 1e-6 * masks.amax((2, 3), keepdim=True)
    weights = cover / cover.sum((2, 3), keepdim=True).clamp(min=1e-6)
    return torch.einsum("bqhw,bchw->bqc", weights, features)


def _geometry(masks: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (B, Q, 4) as (x0, y0, x1, y1) in mask pixels, and ten numbers in image units per mask."""
    h, w = masks.shape[-2:]
    in_row, in_column = masks.amax(3), masks.amax(2)
    rows, columns = _grid(h, masks), _grid(w, masks)
    r0 = torch.where(in_row > 0, rows, h).amin(2)
    c0 = torch.where(in_column > 0, columns, w).amin(2)
    r1, c1 = (in_row * (rows + 1)).amax(2), (in_column * (columns + 1)).amax(2)
    r0, c0 = torch.minimum(r0, r1), torch.minimum(c0, c1)
    area = masks.sum((2, 3))
    total = area.clamp(min=1)
    row = (masks.sum(3) * (rows + 0.5)).sum(2) / total
    column = (masks.sum(2) * (columns + 0.5)).sum(2) / total
    size = (area / (h * w)).sqrt()
    numbers = [row / h, column / w, r0 / h, c0 / w, r1 / h, c1 / w, size, (r1 - r0) / h, (c1 - c0) / w, quality]
    return torch.stack([c0, r0, c1, r1], dim=-1), torch.stack(numbers, dim=-1)


def _grid(n: int, like: Tensor) -> Tensor:
    return torch.arange(n, device=like.device, dtype=like.dtype)


class Standardise(nn.Module):
    """Subtract a mean and divide by a deviation, both measured once: the parts of a description differ widely in scale.

    Parameters
    ----------
    size : int
        Numbers of a description.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    @property
    def measured(self) -> bool:
        """Whether `measure` was called for all numbers, here or before the weights were saved."""
        return bool((self.deviation != 1).all())

    @torch.no_grad()
    def measure(self, descriptions: Tensor) -> None:
        """Take mean and deviation of the numbers that were not measured before from (N, size) descriptions."""
        new = self.deviation == 1
        self.mean[new] = descriptions.mean(0)[new]
        # What hardly varies says little; it must not be blown up.
        self.deviation[new] = descriptions.std(0)[new] + 0.02

    def forward(self, descriptions: Tensor) -> Tensor:
        """Standardise (..., size) descriptions."""
        return (descriptions - self.mean) / self.deviation


def waves(numbers: Tensor) -> Tensor:
    """Numbers from 0 to 1 beside their sines and cosines, so that near and equal values are easily told apart.

    Parameters
    ----------
    numbers : (..., n) tensor

    Returns
    -------
    (..., (1 + 2 * WAVES) * n) tensor
    """
    frequencies = torch.pi * 2.0 ** torch.arange(WAVES, device=numbers.device)
    angles = (numbers[..., None].float() * frequencies).flatten(-2)
    return torch.cat([numbers.float(), angles.sin(), angles.cos()], dim=-1).to(numbers.dtype)
