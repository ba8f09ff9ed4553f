"""Multi-scale deformable attention in plain torch (Zhu et al., 2021, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psalm.modeling.in_cache import by_rows, is_apart


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
        value = self.value_proj(value)
        # Where nothing is learnt on a processor, rows keep the precision that they came with and are read in less time.
        table, layout = _bordered_rows(value if is_apart(value) else value.float(), sizes, self.heads)

        def sample(query: Tensor, reference_points: Tensor) -> Tensor:
            rows, shares = self._corners(query, reference_points, layout, len(table) // len(value))
            # Sampling and weighing are one gather-and-add of rows, which needs no memory for the samples.
            bags = F.embedding_bag(rows, table, per_sample_weights=shares.to(table.dtype), mode="sum")
            return bags.view(query.shape).to(query.dtype)

        sampled = by_rows(sample, 4 * self.attention_weights.out_features, query, reference_points[None])
        return self.output_proj(sampled)

    def _corners(
        self, query: Tensor, reference_points: Tensor, layout: Sequence[_Level], image_rows: int
    ) -> tuple[Tensor, Tensor]:
        """For each corner of the pixels around the points: its row of the table and what it adds.

        Both are (B * N * heads, 4 * levels * points) tensors; the table has `image_rows` rows for each image.
        Coordinates are in pixels of each level and float32: half precision cannot tell neighbours on a large map apart.
        """
        device, bag = query.device, self.levels * self.points

        def per_point(values: Sequence[int]) -> Tensor:
            return torch.tensor(values, device=device, dtype=torch.int32).repeat_interleave(self.points)

        start, stride = per_point([level.start for level in layout]), per_point([level.stride for level in layout])
        places = (start + torch.arange(self.heads, device=device, dtype=torch.int32)[:, None]).flatten()
        first = torch.arange(len(query), device=device, dtype=torch.int32) * image_rows
        places, parts = places + first.view(-1, 1, 1), []
        for axis, step in ((0, torch.full_like(stride, self.heads)), (1, stride)):
            length = per_point([level.size[1 - axis] for level in layout]).repeat(self.heads).float()
            linear = self.sampling_offsets
            offset = F.linear(query, linear.weight[axis::2].contiguous(), linear.bias[axis::2].contiguous())
            at = torch.addcmul(offset.float() - 0.5, reference_points[..., axis, None], length)
            # Everything further outside reads the border, which is zero.
            at = at.clamp(min=-1).minimum(length)
            low = at.floor()
            places = places + low.int() * step.repeat(self.heads)
            parts.append((at - low).view(-1, bag))
        right, down = parts
        zero = torch.zeros_like(stride)
        corners = torch.stack((zero, zero + self.heads, stride, stride + self.heads))
        rows = (places.view(-1, 1, bag) + corners).flatten(1)
        weights = _softmax(self.attention_weights(query).view(-1, bag).float())
        below = down * weights
        above = weights - below
        above_right, below_right = above * right, below * right
        shares = torch.cat((above - above_right, above_right, below - below_right, below_right), dim=1)
        return rows, shares


def _softmax(scores: Tensor) -> Tensor:
    """Over the last dimension, which torch's own is slow for when it is as short as here."""
    powers = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return powers / powers.sum(dim=-1, keepdim=True)


@dataclass(frozen=True)
class _Level:
    """Where a level's rows begin in the table, and how far apart two pixels of a column are."""

    size: tuple[int, int]
    start: int
    stride: int


def _bordered_rows(value: Tensor, sizes: Sequence[tuple[int, int]], heads: int) -> tuple[Tensor, list[_Level]]:
    """Levels (B, sum of h * w, dim) as rows of one head's channels, with a border of zeros around each level.

    The border is one pixel wide before the map and two behind it, so that points outside need no test.
    """
    maps, layout, start = [], [], 0
    for level, (rows, columns) in zip(value.split([r * c for r, c in sizes], dim=1), sizes, strict=True):
        maps.append(F.pad(level.unflatten(1, (rows, columns)), (0, 0, 1, 2, 1, 2)).flatten(1, 2))
        stride = (columns + 3) * heads
        layout.append(_Level((rows, columns), start + stride + heads, stride))
        start += (rows + 3) * stride
    return torch.cat(maps, dim=1).view(-1, value.shape[2] // heads), layout
