"""A stand-alone Swin backbone of any size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from psalm.config import PSALMConfig
from psalm.modeling.official_keys import rename_vision
from psalm.modeling.swin import SwinBackbone
from psalm.parity.findings import Finding, Findings


@torch.no_grad()
def compare_backbone(name: str, tensors: dict[str, Tensor]) -> list[Finding]:
    """The four levels of a backbone whose weights are recorded under ``w.``."""
    findings = Findings(name)
    weights = {key[2:]: tensor for key, tensor in tensors.items() if key.startswith("w.")}
    backbone = SwinBackbone(_config(weights)).eval()
    renamed = {rename_vision(f"model.vision_tower.{key}"): tensor for key, tensor in weights.items()}
    backbone.load_state_dict({key.removeprefix("backbone."): tensor for key, tensor in renamed.items() if key})
    pyramid = backbone(tensors["image"])
    for level, tensor in zip(("res2", "res3", "res4", "res5"), pyramid, strict=True):
        findings.recorded(f"backbone {level}", tensor, tensors, level)
    return findings.rows


def _config(weights: dict[str, Tensor]) -> PSALMConfig:
    """Sizes, as the shapes of the weights tell them."""
    tables = [
        [key for key in weights if key.startswith(f"layers.{level}.") and key.endswith("relative_position_bias_table")]
        for level in range(4)
    ]
    side = math.isqrt(weights[tables[0][0]].shape[0])
    return PSALMConfig.small(
        swin_embed_dim=weights["patch_embed.proj.weight"].shape[0],
        swin_depths=tuple(len(level) for level in tables),
        swin_heads=tuple(weights[level[0]].shape[1] for level in tables),
        swin_window=(side + 1) // 2,
    )
