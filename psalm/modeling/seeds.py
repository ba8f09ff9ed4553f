"""Where to look for objects: a map of object centres, and seed points picked from it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4


class SeedHead(nn.Module):
    """Predict how central each pixel is in its object, at a quarter of the image size."""

    def __init__(self, coarse_channels: int, fine_channels: int, width: int = 64) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(coarse_channels, width, 1)
        self.fine = nn.Conv2d(fine_channels, width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, 4, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Centre logits (B, H/4, W/4) from features at strides 16 (B, C, H/16, W/16) and 8 (B, c, H/8, W/8)."""
        raised = F.interpolate(self.coarse(coarse), fine.shape[-2:], mode="bilinear", align_corners=False)
        x = F.gelu(raised + self.fine(fine))
        return F.pixel_shuffle(self.out(F.gelu(self.mix(x))), 2)[:, 0]


def pick_seeds(centre_logits: Tensor, count: int) -> Tensor:
    """Pick points (B, count, 2) (row, column) in pixels of the model image.

    Three quarters are the strongest local maxima of (B, h, w) centre logits; the rest is a regular grid, so that things
    unlike anything in the training data are still looked at.
    """
    h, w = centre_logits.shape[-2:]
    side = int((count // 4) ** 0.5)
    smooth = F.avg_pool2d(centre_logits[:, None].float(), 3, 1, 1)
    is_peak = smooth == F.max_pool2d(smooth, 5, 1, 2)
    score = torch.where(is_peak, smooth, smooth - 1e3).flatten(1)
    index = score.topk(count - side * side, dim=1).indices
    peaks = torch.stack([index // w, index % w], dim=-1) * STRIDE + STRIDE / 2
    steps = (torch.arange(side, device=score.device) + 0.5) / side
    grid = torch.cartesian_prod(steps * h, steps * w).reshape(-1, 2) * STRIDE
    return torch.cat([peaks, grid.expand(len(peaks), -1, -1)], dim=1)


def centre_targets(masks: Tensor) -> Tensor:
    """Training target (h, w) for the masks (N, S, S) of one image: depth inside each object over its greatest depth."""
    from scipy import ndimage  # training alone needs it

    h, w = masks.shape[-2] // STRIDE, masks.shape[-1] // STRIDE
    target = np.zeros((h, w), dtype=np.float32)
    for mask in masks.cpu().numpy():
        small = mask[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
        rows, columns = np.flatnonzero(small.any(1)), np.flatnonzero(small.any(0))
        if not len(rows):  # an object smaller than the grid still deserves its seed
            pixels = np.argwhere(mask)
            if len(pixels):
                target[tuple(np.minimum(pixels.mean(0).astype(int) // STRIDE, (h - 1, w - 1)))] = 1.0
            continue
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        depth = ndimage.distance_transform_edt(np.pad(small[box], 1))[1:-1, 1:-1]
        target[box] = np.maximum(target[box], depth / depth.max())
    return torch.from_numpy(target).to(masks.device)
