"""Multi-scale deformable attention in plain torch (Zhu et al., 2021, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeformableAttention(nn.Module):
    """Each query reads a few learned points around its own place on every level.

    Parameters
    ----------
    dim : int
        Channels of queries and values; a multiple of `heads`.
    heads, levels, points : int
        Attention heads, levels of the pyramid, and points per head and level.
    """

    def __init__(self, dim: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(dim, heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, heads * levels * points)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with equal weights and with the heads' points along evenly spread directions, one step further each."""
        for linear in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        angles = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        directions = torch.stack((angles.cos(), angles.sin()), dim=1)
        directions = directions / directions.abs().amax(dim=1, keepdim=True)
        steps = torch.arange(1, self.points + 1, dtype=torch.float32)
        offsets = directions[:, None, None] * steps[:, None]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(-1, self.levels, -1, -1).flatten())

    def forward(
        self, query: Tensor, reference_points: Tensor, value: Tensor, sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Attend.

        Parameters
        ----------
        query : (B, N, dim) tensor
            What asks, position encoding included.
        reference_points : (N, 2) tensor of float32
            The queries' places as fractions (x, y) of the map, the order of `grid_sample`.
        value : (B, sum of h * w, dim) tensor
            The levels one after another, each in row-major order.
        sizes : sequence of (rows, columns)
            Size of each level.

        Returns
        -------
        (B, N, dim) tensor
        """
        batch, count, dim = query.shape
        # Coordinates stay in float32: half precision cannot tell neighbouring pixels of a large map apart.
        offsets = self.sampling_offsets(query).float().view(batch, count, self.heads, self.levels, self.points, 2)
        weights = self.attention_weights(query).view(batch, count, self.heads, self.levels * self.points)
        weights = weights.float().softmax(-1).view(batch, count, self.heads, self.levels, self.points)
        value = self.value_proj(value).float().view(batch, -1, self.heads, dim // self.heads)
        value = value.permute(0, 2, 3, 1).flatten(0, 1)

        output = value.new_zeros(batch * self.heads, dim // self.heads, count)
        maps = value.split([rows * columns for rows, columns in sizes], dim=2)
        for level, ((rows, columns), level_map) in enumerate(zip(sizes, maps, strict=True)):
            scale = offsets.new_tensor((columns, rows))
            points = reference_points[:, None, None] + offsets[:, :, :, level] / scale
            grid = (2 * points - 1).transpose(1, 2).flatten(0, 1)
            sampled = F.grid_sample(level_map.unflatten(2, (rows, columns)), grid, align_corners=False)
            weight = weights[:, :, :, level].transpose(1, 2).flatten(0, 1)
            output = output + torch.einsum("bdnp,bnp->bdn", sampled, weight)
        output = output.view(batch, dim, count).transpose(1, 2)
        return self.output_proj(output.to(query.dtype))
