"""The model's configuration; the defaults are the published model."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from psalm.errors import ConfigError


@dataclass(frozen=True)
class PSALMConfig:
    """Sizes and choices of a PSALM model.

    Lengths are pixels of the model image unless said otherwise. Fields with a `Literal` type name the places where the
    paper, the official code and our small model differ; the first value of each is what the published weights need.
    """

    name: str = "psalm-1.3b"

    # Image: the longest side is resized to `image_size`, then padded right and bottom with the grey `pad_value`.
    image_size: int = 1024
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    pad_value: int = 128

    # Backbone: four levels at strides 4, 8, 16 and 32 (tiny_vit: 4, 8, 16 and 16).
    backbone: Literal["swin", "tiny_vit"] = "swin"
    swin_embed_dim: int = 128
    swin_depths: tuple[int, ...] = (2, 2, 18, 2)
    swin_heads: tuple[int, ...] = (4, 8, 16, 32)
    swin_window: int = 12
    swin_drop_path: float = 0.3

    # A second backbone whose features help to name the masks of the two_way generator: an image classifier of timm, and
    # the side of the square at which it sees the model image. None when the name is empty.
    semantic_backbone: str = ""
    semantic_size: int = 448

    # Projector: width of its convolutions (its output has the width of the language model), and how many tokens along
    # each side are averaged into one.
    projector_dim: int = 2048
    image_token_pool: int = 1

    # Language model (Phi).
    vocab_size: int = 50297
    lm_hidden: int = 2048
    lm_intermediate: int = 8192
    lm_layers: int = 24
    lm_heads: int = 32
    lm_rotary_fraction: float = 0.5
    lm_rope_theta: float = 10000.0
    lm_norm_eps: float = 1e-5
    max_length: int = 2048

    # Conditions.
    num_mask_tokens: int = 100
    # Class lists with more names are asked in parts; 0 reads as many at once as `max_length` holds.
    names_at_once: int = 0
    mask_token_attention: Literal["causal", "full"] = "causal"
    category_pooling: Literal["average", "ref"] = "average"
    sentence_pooling: Literal["average", "ref"] = "average"
    region_pooling: Literal["mask", "points"] = "mask"
    region_sample_points: int = 256
    point_radius: float = 10.0
    scribble_radius: float = 5.0

    # Mask generator.
    mask_generator: Literal["mask2former", "two_way"] = "mask2former"
    hidden_dim: int = 256
    mask_dim: int = 256
    num_heads: int = 8
    pixel_decoder_layers: int = 6
    pixel_decoder_ffn: int = 1024
    pixel_decoder_points: int = 4
    decoder_layers: int = 9
    decoder_ffn: int = 2048
    num_seeds: int = 64
    # The seed head also tells how far the object at a place reaches, so that none is looked at twice.
    seed_boxes: bool = False

    # The paper's ablations (section 4): whether mask tokens go through the language model or straight to the mask
    # generator, whether they stand after the condition or before it, and whether proposals are classified after the
    # decoder (decoupled) or by the mask tokens alone. "One mask" is `num_mask_tokens` 1.
    mask_token_path: Literal["language_model", "direct"] = "language_model"
    mask_token_place: Literal["after", "before"] = "after"
    classification: Literal["decoupled", "direct"] = "decoupled"

    # Decoding.
    score_threshold: float = 0.5
    panoptic_score_threshold: float = 0.8
    panoptic_overlap_threshold: float = 0.8

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        for width, heads in (("lm_hidden", "lm_heads"), ("hidden_dim", "num_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise ConfigError(
                    f"{width} {getattr(self, width)} must be a multiple of {heads} {getattr(self, heads)}."
                )
        ablated = (self.mask_token_path, self.mask_token_place, self.classification)
        if self.mask_generator != "mask2former" and ablated != ("language_model", "after", "decoupled"):
            raise ConfigError("mask_token_path, mask_token_place and classification need mask_generator mask2former.")
        if self.semantic_backbone and self.mask_generator != "two_way":
            raise ConfigError("semantic_backbone needs mask_generator two_way, which describes its masks.")
        if self.names_at_once < 0:
            raise ConfigError(f"names_at_once {self.names_at_once} must be 1 or more, or 0 for no limit.")
        if self.image_size % 32:
            raise ConfigError(f"image_size {self.image_size} must be a multiple of 32.")

    @classmethod
    def small(cls, **changes: Any) -> PSALMConfig:
        """The published architecture at a size for tests: runs in milliseconds on a CPU; changes are applied on top."""
        sizes: dict[str, Any] = dict(
            name="psalm-test",
            image_size=192,
            swin_embed_dim=16,
            swin_depths=(2, 2, 2, 2),
            swin_heads=(1, 2, 4, 8),
            swin_window=7,
            swin_drop_path=0.0,
            projector_dim=96,
            vocab_size=400,
            lm_hidden=64,
            lm_intermediate=256,
            lm_layers=2,
            lm_heads=4,
            max_length=1024,
            num_mask_tokens=20,
            hidden_dim=64,
            mask_dim=64,
            pixel_decoder_layers=2,
            decoder_layers=4,
            decoder_ffn=128,
        )
        return cls(**(sizes | changes))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PSALMConfig:
        """Read a mapping of field names.

        Raises
        ------
        ConfigError
            When a field is unknown.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"Unknown fields in the model config: {', '.join(unknown)}. Remove or correct them.")
        return cls(**values)

    @classmethod
    def from_file(cls, path: Path | str) -> PSALMConfig:
        """Read a ``config.json``."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to ``config.json``."""
        return dataclasses.asdict(self)
