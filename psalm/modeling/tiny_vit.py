"""The small backbone: timm's TinyViT-5M, with the last level kept at stride 16 so that small objects survive."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from psalm.config import PSALMConfig


class TinyViTBackbone(nn.Module):
    """TinyViT-5M with four levels at strides 4, 8, 16 and 16.

    Attributes
    ----------
    channels : tuple of int
        Channels of each level, finest first.
    """

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        body: Any = timm.create_model("tiny_vit_5m_224", features_only=True, pretrained=False)
        body.stages_3.downsample.conv2.conv.stride = (1, 1)
        self.body = body
        self.to(memory_format=torch.channels_last)  # a quarter faster on processors
        self.channels: tuple[int, ...] = tuple(body.feature_info.channels())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the levels of (B, 3, H, W) normalised images, finest first."""
        images = images.contiguous(memory_format=torch.channels_last)
        if images.device.type != "cpu":
            return tuple(self.body(images))
        # One image at a time stays in the processor's cache, and is twice as fast as a batch.
        levels = zip(*(self.body(image) for image in images.split(1)), strict=True)
        return tuple(torch.cat(level) for level in levels)
