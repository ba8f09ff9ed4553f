"""Points on a mask at which matching and mask losses are measured (Mask2Former, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sample_at(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps at points, bilinearly; outside is zero.

    Parameters
    ----------
    maps : (N, h, w) tensor of float
    points : (N, P, 2) or (1, P, 2) tensor
        (row, column) as a fraction of the map, 0 to 1 from edge to edge.

    Returns
    -------
    (N, P) tensor
    """
    if not len(maps):
        return maps.new_zeros((0, points.shape[1]))
    grid = 2 * points.flip(-1).to(maps.dtype) - 1
    if len(points) == len(maps):
        return F.grid_sample(maps[:, None], grid[:, None], align_corners=False)[:, 0, 0]
    return F.grid_sample(maps[None], grid[:, None], align_corners=False)[0, :, 0]


class PointSampler:
    """Draws the points of one training step.

    Parameters
    ----------
    num_points : int
        Points per mask; the published model uses 12544.
    oversample : float
        Candidates per point among which the most uncertain are chosen.
    importance : float
        Share of the points that is chosen by uncertainty, 0 to 1; the rest is uniform.
    """

    def __init__(self, num_points: int = 12544, oversample: float = 3.0, importance: float = 0.75) -> None:
        self.num_points = num_points
        self.oversample = oversample
        self.importance = importance

    def uniform(self, like: Tensor) -> Tensor:
        """(1, P, 2) points, the same for every mask of an image, on the device of `like`."""
        return torch.rand(1, self.num_points, 2, device=like.device)

    @torch.no_grad()
    def uncertain(self, logits: Tensor) -> Tensor:
        """(N, P, 2) points, most of them where the (N, h, w) mask logits are nearest to zero."""
        candidates = torch.rand(len(logits), int(self.num_points * self.oversample), 2, device=logits.device)
        chosen = int(self.num_points * self.importance)
        nearest = sample_at(logits, candidates).abs().topk(chosen, dim=1, largest=False).indices
        important = candidates.gather(1, nearest[..., None].expand(-1, -1, 2))
        rest = torch.rand(len(logits), self.num_points - chosen, 2, device=logits.device)
        return torch.cat([important, rest], dim=1)
