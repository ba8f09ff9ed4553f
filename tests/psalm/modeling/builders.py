"""Configs that several tests build models from."""

from __future__ import annotations

from typing import Any

from psalm.config import PSALMConfig


def two_way_config(**changes: Any) -> PSALMConfig:
    """The small model's architecture at a size for tests."""
    sizes: dict[str, Any] = dict(
        image_size=96,
        backbone="tiny_vit",
        mask_generator="two_way",
        mask_token_attention="full",
        hidden_dim=32,
        num_heads=4,
        lm_hidden=32,
        projector_dim=32,
        num_mask_tokens=10,
        num_seeds=8,
        decoder_ffn=64,
    )
    return PSALMConfig.small(**(sizes | changes))
