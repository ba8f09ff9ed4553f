"""The pixel decoder: mask features and three refined levels from the image pyramid (Mask2Former, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psalm.config import PSALMConfig
from psalm.modeling.deformable_attention import DeformableAttention
from psalm.modeling.in_cache import by_rows
from psalm.modeling.position_encoding import sine_position_encoding


class PixelDecoderLayer(nn.Module):
    """Deformable self-attention over all levels, then a feed-forward network; each with a residual and a norm after."""

    def __init__(self, dim: int, heads: int, levels: int, points: int, ffn: int) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(dim, heads, levels, points)
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(
        self, tokens: Tensor, position: Tensor, reference_points: Tensor, sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Refine tokens (B, N, dim) with position (N, dim) at reference_points (N, 2)."""
        attended = self.self_attn(tokens + position, reference_points, tokens, sizes)
        tokens = self.norm1(tokens + attended)
        return by_rows(self._feed_forward, self.linear1.out_features, tokens)

    def _feed_forward(self, tokens: Tensor) -> Tensor:
        return self.norm2(tokens + self.linear2(self.linear1(tokens).relu_()))


class PixelDecoder(nn.Module):
    """Deformable attention over res5, res4 and res3, and one top-down step to res2.

    Parameters
    ----------
    config : PSALMConfig
        Its ``hidden_dim``, ``mask_dim``, ``num_heads`` and ``pixel_decoder_*`` fields.
    in_channels : sequence of int
        Channels of res2 to res5.
    """

    def __init__(self, config: PSALMConfig, in_channels: Sequence[int]) -> None:
        super().__init__()
        dim = config.hidden_dim
        finest, *others = in_channels
        self.input_projections = nn.ModuleList(_conv(channels, dim, 1) for channels in reversed(others))
        self.level_embed = nn.Parameter(torch.empty(len(others), dim))
        self.layers = nn.ModuleList(
            PixelDecoderLayer(dim, config.num_heads, len(others), config.pixel_decoder_points, config.pixel_decoder_ffn)
            for _ in range(config.pixel_decoder_layers)
        )
        self.lateral = _conv(finest, dim, 1).append(nn.ReLU(inplace=True))
        self.output = _conv(dim, dim, 3).append(nn.ReLU(inplace=True))
        self.mask_features = nn.Conv2d(dim, config.mask_dim, kernel_size=1)
        nn.init.normal_(self.level_embed)

    def forward(self, pyramid: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Decode.

        Parameters
        ----------
        pyramid : sequence of (B, C_i, h_i, w_i) tensors
            res2 to res5, finest first.

        Returns
        -------
        mask_features : (B, mask_dim, h_2, w_2) tensor
            Pixel embeddings at the size of res2.
        multi_scale : list of (B, hidden_dim, h_i, w_i) tensors
            Refined levels at the sizes of res5, res4 and res3, coarsest first.
        """
        finest, *others = pyramid
        levels = [project(level) for project, level in zip(self.input_projections, reversed(others), strict=True)]
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1)
        position = self._position(sizes, tokens)
        reference_points = torch.cat([_pixel_centres(size, tokens.device) for size in sizes])
        for layer in self.layers:
            tokens = layer(tokens, position, reference_points, sizes)

        refined = tokens.transpose(1, 2).split([rows * columns for rows, columns in sizes], dim=2)
        multi_scale = [level.unflatten(2, size) for level, size in zip(refined, sizes, strict=True)]
        # All that follows reads channels that lie together.
        last = multi_scale[-1].clone(memory_format=torch.channels_last)
        upsampled = F.interpolate(last, size=finest.shape[2:], mode="bilinear", align_corners=False)
        return self.mask_features(self.output(upsampled.add_(self.lateral(finest)))), multi_scale

    def _position(self, sizes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
        encodings = [sine_position_encoding(size, like.shape[2], like.device, like.dtype) for size in sizes]
        return torch.cat([code + embed for code, embed in zip(encodings, self.level_embed, strict=True)])


def _conv(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the size, and a group norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2), nn.GroupNorm(32, out_channels)
    )


def _pixel_centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """Centres of a map's pixels as fractions (x, y) of its size: (rows * columns, 2), row-major."""
    rows, columns = ((torch.arange(length, device=device, dtype=torch.float32) + 0.5) / length for length in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y), dim=2).flatten(0, 1)
