"""A small model that drafts its masks before it is asked."""

from __future__ import annotations

from psalm.config import PSALMConfig


def drafting_config() -> PSALMConfig:
    """Its sizes."""
    return PSALMConfig.small(
        image_size=128,
        backbone="tiny_vit",
        mask_generator="two_way",
        num_seeds=16,
        num_mask_tokens=6,
        hidden_dim=64,
        max_length=1024,
        mask_token_attention="full",
    )
