"""The Swin backbone: an image pyramid of four levels (PSALM, section 3.1: Swin-B; Liu et al., 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from timm.layers import PatchEmbed
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import Tensor, nn

from psalm.config import PSALMConfig


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

    def _attn(self, x: Tensor) -> Tensor:
        """Attend within windows; padding costs nothing but its place in a window, and only mixed windows are masked."""
        batch, height, width, dim = x.shape
        attention, area = self.attn, self.window_size[0] * self.window_size[1]
        plan = _window_plan(height, width, self.window_size[0], self.shift_size[0], x.device)
        tokens = attention.qkv(x).flatten(1, 2).index_select(1, plan.order)
        if len(plan.padding):
            tokens[:, plan.padding] = attention.qkv.bias.to(tokens.dtype)  # what the layer makes of a zero
        # (3, B, windows, heads, area, width of a head)
        qkv = tokens.view(batch, -1, area, 3, attention.num_heads, dim // attention.num_heads).permute(3, 0, 1, 4, 2, 5)
        bias = attention._get_rel_pos_bias()
        mixed = (bias + plan.mask[:, None].to(bias)).repeat(batch, 1, 1, 1)
        attended = []
        for part, mask in zip(qkv.split([plan.plain, len(plan.mask)], dim=2), (bias, mixed), strict=True):
            q, k, v = part.flatten(1, 2)
            if len(q):
                out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
                attended.append(out.transpose(1, 2).reshape(batch, -1, dim))
        restored = torch.cat(attended, dim=1).index_select(1, plan.back)
        return attention.proj(restored).view(batch, height, width, dim)


@dataclass(frozen=True)
class _WindowPlan:
    """Where each token of a map goes when the map is padded, shifted and cut into windows.

    Parameters
    ----------
    order : (windows * area,) tensor of int
        The token at each place, windows that mix distant parts of the map last; any token where there is padding.
    padding : (P,) tensor of int
        Places that hold padding.
    back : (height * width,) tensor of int
        The place of each token.
    plain : int
        How many windows need no mask.
    mask : (M, area, area) tensor
        Added to the attention of the others, as published: -100 between tokens that are no neighbours.
    """

    order: Tensor
    padding: Tensor
    back: Tensor
    plain: int
    mask: Tensor


@lru_cache(maxsize=64)
def _window_plan(height: int, width: int, window: int, shift: int, device: torch.device) -> _WindowPlan:
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
        sorting = is_mixed.long().argsort(stable=True)
        order, real, part = order[sorting].flatten(), real[sorting].flatten(), part[is_mixed]
        back = torch.empty(height * width, dtype=torch.long)
        back[order[real]] = real.nonzero().flatten()
        mask = torch.where(part[:, :, None] == part[:, None], 0.0, -100.0)
        tensors = (torch.where(real, order, 0), (~real).nonzero().flatten(), back, mask)
        order, padding, back, mask = (tensor.to(device) for tensor in tensors)
        return _WindowPlan(order, padding, back, int((~is_mixed).sum()), mask)


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
