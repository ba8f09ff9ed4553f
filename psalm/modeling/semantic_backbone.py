"""What things are: a second, smaller backbone, trained to name photographs, beside the one that outlines them."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from psalm.config import PSALMConfig


class SemanticBackbone(nn.Module):
    """The last level of an image classifier of timm.

    It sees the model image at the size `semantic_size` and normalised as it was trained with.

    Parameters
    ----------
    config : PSALMConfig
        With the name of a timm model in `semantic_backbone`.

    Attributes
    ----------
    channels : int
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        body: Any = timm.create_model(config.semantic_backbone, features_only=True, out_indices=(-1,), pretrained=False)
        self.body = body
        self.to(memory_format=torch.channels_last)
        self.channels = int(body.feature_info.channels()[-1])
        self.size = config.semantic_size
        # One affine map from the model's normalisation to the classifier's.
        ours = torch.tensor((config.pixel_mean, config.pixel_std)) / 255
        theirs = torch.tensor((body.pretrained_cfg["mean"], body.pretrained_cfg["std"]))
        self.register_buffer("scale", (ours[1] / theirs[1]).view(3, 1, 1), persistent=False)
        self.register_buffer("shift", ((ours[0] - theirs[0]) / theirs[1]).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, C, h, w) of normalised model images (B, 3, S, S)."""
        size = (self.size, self.size)
        # Antialiasing knows no bfloat16.
        small = interpolate(images.float(), size, mode="bilinear", antialias=True, align_corners=False)
        normal = (small * self.scale + self.shift).to(images.dtype)
        level: Tensor = self.body(normal.contiguous(memory_format=torch.channels_last))[0]
        return level
