"""The Swin backbone: an image pyramid of four levels (PSALM, section 3.1: Swin-B; Liu et al., 2021)."""

from __future__ import annotations

from collections.abc import Sequence

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
        # timm leaves this off by default; it is a third faster on a CPU and equal to rounding.
        self.attn.fused_attn = True  # type: ignore[misc]  # final for TorchScript alone

    def _attn(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        padded = F.pad(x, (0, 0, 0, -width % self.window_size[1], 0, -height % self.window_size[0]))
        return super()._attn(padded)[:, :height, :width]


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
            res2 to res5 at strides 4, 8, 16 and 32.
        """
        x = self.patch_embed(images)
        pyramid = []
        for stage, norm in zip(self.layers, self.norms, strict=True):
            level, x = stage(x)
            pyramid.append(norm(level).permute(0, 3, 1, 2).contiguous())
        return tuple(pyramid)
