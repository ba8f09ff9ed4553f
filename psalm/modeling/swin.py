"""The Swin backbone: an image pyramid of four levels (PSALM, section 3.1: Swin-B; Liu et al., 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from timm.layers import PatchEmbed
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import Tensor, nn

from psalm.config import PSALMConfig
from psalm.modeling.in_cache import attend, by_rows, is_apart


class WindowBlock(SwinTransformerBlock):
    """A timm Swin block that pads the map to whole windows before it shifts them.

    Published detection and segmentation weights were trained in this order, with the attention mask of the padded map;
    timm shifts first, which gives other numbers wherever padding is needed.
    """

    def __init__(self, dim: int, heads: int, window: int, shift: int, drop_path: float) -> None:
        super().__init__(
            dim,
            input_resolution=(window, window),
            num_heads=heads,
            window_size=window,
            shift_size=shift,
            always_partition=True,
            dynamic_mask=True,
            drop_path=drop_path,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to the same size."""
        x = x + self.drop_path1(self._attn(self.norm1(x)))
        tokens = by_rows(self._feed_forward, 4 * x.shape[3], x.flatten(1, 2))
        return tokens.view_as(x)

    def _feed_forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.drop_path2(self.mlp(self.norm2(tokens)))

    def _attn(self, x: Tensor) -> Tensor:
        """Attend within windows; padding costs nothing but its place in a window, and only mixed windows are masked."""
        batch, height, width, dim = x.shape
        attention, tokens = self.attn, x.flatten(1, 2)
        some = max(_TOGETHER // self.window_area, 1) if is_apart(x) else height * width
        plan = _window_plan(height, width, self.window_size[0], self.shift_size[0], some, x.device)
        bias = attention._get_rel_pos_bias()
        attended = []
        for windows in plan.groups:
            # (3, B * windows, heads, area, width of a head)
            q, k, v = (
                self._windowed(tokens, windows)
                .view(-1, self.window_area, 3, attention.num_heads, dim // attention.num_heads)
                .permute(2, 0, 3, 1, 4)
            )
            mask = bias
            if windows.mask is not None:
                mask = (bias + windows.mask[:, None].to(bias)).repeat(batch, 1, 1, 1)
            attended.append(attend(q, k, v, mask).transpose(1, 2).reshape(batch, -1, dim))
        restored = torch.cat(attended, dim=1).index_select(1, plan.back)
        return attention.proj(restored).view(batch, height, width, dim)

    def _windowed(self, tokens: Tensor, windows: _Windows) -> Tensor:
        """Queries, keys and values of all places in some windows, (B, windows * area, 3 * dim)."""
        qkv = self.attn.qkv(tokens.index_select(1, windows.tokens))
        if windows.places is None:
            return qkv
        padding = self.attn.qkv.bias.to(qkv.dtype)  # what the layer makes of a zero
        return torch.cat((qkv, padding.expand(len(qkv), 1, -1)), dim=1).index_select(1, windows.places)


_TOGETHER = 1152
"""Places whose attention is computed together on a processor."""


@dataclass(frozen=True)
class _Windows:
    """Some windows of a map.

    Parameters
    ----------
    tokens : (T,) tensor of int
        Those that lie in them, window after window.
    places : (windows * area,) tensor of int, optional
        Which of these is at each place, T where there is padding; None without padding.
    mask : (windows, area, area) tensor, optional
        Added to their attention, as published: -100 between tokens that are no neighbours.
    """

    tokens: Tensor
    places: Tensor | None
    mask: Tensor | None


@dataclass(frozen=True)
class _WindowPlan:
    """Where each token of a map goes when the map is padded, shifted and cut into windows.

    Parameters
    ----------
    groups : tuple of _Windows
        Those that mix distant parts of the map, and need a mask, last.
    back : (height * width,) tensor of int
        The place of each token among those of all groups.
    """

    groups: tuple[_Windows, ...]
    back: Tensor


@lru_cache(maxsize=64)
def _window_plan(height: int, width: int, window: int, shift: int, some: int, device: torch.device) -> _WindowPlan:
    """The plan with at most `some` windows in a group."""
    # Made for good: a tensor of inference mode could not be used in training later.
    with torch.inference_mode(False):
        (rows, row_parts), (columns, column_parts) = (_shifted(length, window, shift) for length in (height, width))

        def windows(values: Tensor) -> Tensor:
            grid = values.unflatten(1, (-1, window)).unflatten(0, (-1, window))
            return grid.transpose(1, 2).reshape(-1, window * window)

        order = windows(rows[:, None] * width + columns)
        real = windows((rows < height)[:, None] & (columns < width))
        part = windows(row_parts[:, None] * 3 + column_parts)
        is_mixed = (part != part[:, :1]).any(dim=1)
        groups = [
            _group(order[chosen], real[chosen], part[chosen] if mixed else None, device)
            for mixed in (False, True)
            for chosen in (is_mixed == mixed).nonzero().flatten().split(some)
            if len(chosen)
        ]
        sorting = is_mixed.long().argsort(stable=True)
        order, real = order[sorting].flatten(), real[sorting].flatten()
        back = torch.empty(height * width, dtype=torch.long)
        back[order[real]] = real.nonzero().flatten()
        return _WindowPlan(tuple(groups), back.to(device))


def _group(order: Tensor, real: Tensor, part: Tensor | None, device: torch.device) -> _Windows:
    """Of windows (n, area): the token at each place, where there is one, and the part of the map it is in."""
    tokens, places, mask = order[real], None, None
    if len(tokens) < real.numel():
        places = torch.full_like(order, len(tokens))
        places[real] = torch.arange(len(tokens))
        places = places.flatten().to(device)
    if part is not None:
        mask = torch.where(part[:, :, None] == part[:, None], 0.0, -100.0).to(device)
    return _Windows(tokens.to(device), places, mask)


def _shifted(length: int, window: int, shift: int) -> tuple[Tensor, Tensor]:
    """Of one side, padded to whole windows and shifted: the token at each place, and the part of the map it is in."""
    padded = math.ceil(length / window) * window
    places = torch.arange(padded)
    parts = (places >= padded - window).long() + (places >= padded - shift).long() if shift else places * 0
    return (places + shift) % padded, parts


class Stage(nn.Module):
    """The blocks of one level and the patch merging that leads to the next.

    Parameters
    ----------
    dim, heads, window : int
        Channels, attention heads and window side (tokens) of the level.
    drop_path : sequence of float
        Stochastic depth of each block; its length is the number of blocks.
    downsample : bool
        Whether another level follows.
    """

    def __init__(self, dim: int, heads: int, window: int, drop_path: Sequence[float], downsample: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                WindowBlock(dim, heads, window, (index % 2) * (window // 2), rate)
                for index, rate in enumerate(drop_path)
            )
        )
        self.downsample = PatchMerging(dim) if downsample else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the level (B, h, w, dim) and what the next one starts from."""
        x = self.blocks(x)
        return x, self.downsample(x)


class SwinBackbone(nn.Module):
    """Swin Transformer whose four levels each pass a norm of their own.

    Parameters
    ----------
    config : PSALMConfig
        Its ``swin_*`` fields; any window size.

    Attributes
    ----------
    channels : tuple of int
        Channels of res2 to res5.
    """

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        depths = config.swin_depths
        self.channels = tuple(config.swin_embed_dim * 2**level for level in range(len(depths)))
        self.patch_embed = PatchEmbed(
            img_size=None,
            patch_size=4,
            embed_dim=config.swin_embed_dim,
            norm_layer=nn.LayerNorm,
            output_fmt="NHWC",
            dynamic_img_pad=True,
        )
        last = max(sum(depths) - 1, 1)
        rates = [config.swin_drop_path * index / last for index in range(sum(depths))]
        starts = [sum(depths[:level]) for level in range(len(depths))]
        self.layers = nn.ModuleList(
            Stage(dim, heads, config.swin_window, rates[start : start + depth], downsample=dim != self.channels[-1])
            for dim, heads, start, depth in zip(self.channels, config.swin_heads, starts, depths, strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in self.channels)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Encode images.

        Parameters
        ----------
        images : (B, 3, H, W) tensor
            Normalised images of any size; sides that are no multiple of a patch or window are padded inside.

        Returns
        -------
        tuple of (B, C_i, h_i, w_i) tensors
            res2 to res5 at strides 4, 8, 16 and 32, with channels last in memory.
        """
        x = self.patch_embed(images)
        pyramid = []
        for stage, norm in zip(self.layers, self.norms, strict=True):
            level, x = stage(x)
            pyramid.append(norm(level).permute(0, 3, 1, 2))
        return tuple(pyramid)
