"""The published checkpoint's own config.json, read as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psalm.config import PSALMConfig
from psalm.errors import ConfigError

# Each row: our field, and theirs.
_LANGUAGE = (
    ("vocab_size", "vocab_size"),
    ("lm_hidden", "hidden_size"),
    ("lm_intermediate", "intermediate_size"),
    ("lm_layers", "num_hidden_layers"),
    ("lm_heads", "num_attention_heads"),
    ("lm_rotary_fraction", "partial_rotary_factor"),
    ("lm_rope_theta", "rope_theta"),
    ("lm_norm_eps", "layer_norm_eps"),
    ("max_length", "max_position_embeddings"),
)
_SWIN: dict[str, dict[str, Any]] = {
    "base": {"swin_embed_dim": 128, "swin_depths": (2, 2, 18, 2), "swin_heads": (4, 8, 16, 32), "swin_window": 12},
    "large": {"swin_embed_dim": 192, "swin_depths": (2, 2, 18, 2), "swin_heads": (6, 12, 24, 48), "swin_window": 12},
}
_ONLY: dict[str, tuple[Any, ...]] = {
    "mm_projector_type": ("swin_conv",),
    "mask_decode_train": (True,),
    "hidden_act": ("gelu_new",),
    "qk_layernorm": (False,),
    "tie_word_embeddings": (False,),
    "mm_use_im_start_end": (False,),
    "rope_scaling": (None,),
}


def is_official(values: Mapping[str, Any]) -> bool:
    """Whether the fields of a ``config.json`` are those of the published code."""
    return values.get("model_type") == "llava_phi" or "mm_vision_tower" in values or "mask_decode_train" in values


def read_official_config(values: Mapping[str, Any], mask_config: Mapping[str, Any] | None = None) -> PSALMConfig:
    """Our config for a checkpoint of the published code.

    Parameters
    ----------
    values : mapping
        Its ``config.json``; fields that are not there keep the published values.
    mask_config : mapping, optional
        The detectron2 config of the mask modules, where it is not the published one.

    Raises
    ------
    ConfigError
        When the checkpoint was built in a way that this model cannot represent.
    """
    for field, allowed in _ONLY.items():
        if field in values and values[field] not in allowed:
            raise ConfigError(
                f"The checkpoint's {field} is {values[field]!r}, but only {allowed[0]!r} is supported: "
                "use a checkpoint of the published PSALM."
            )
    fields = {ours: values[theirs] for ours, theirs in _LANGUAGE if values.get(theirs) is not None}
    fields |= _SWIN["base" if values.get("swin_type", "base") == "base" else "large"]
    fields |= {} if mask_config is None else _mask_fields(mask_config)
    config = PSALMConfig(**fields)
    _check_width("mm_input_embeds", values, 8 * config.swin_embed_dim, "the backbone's last level")
    _check_width("projector_outdim", values, config.lm_hidden, "the language model")
    return config


def _mask_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes of backbone, pixel decoder and transformer decoder."""
    model = config["MODEL"]
    mask, head, swin = model["MASK_FORMER"], model["SEM_SEG_HEAD"], model["SWIN"]
    return {
        "image_size": config["INPUT"]["IMAGE_SIZE"],
        "pixel_mean": tuple(model["PIXEL_MEAN"]),
        "pixel_std": tuple(model["PIXEL_STD"]),
        "swin_embed_dim": swin["EMBED_DIM"],
        "swin_depths": tuple(swin["DEPTHS"]),
        "swin_heads": tuple(swin["NUM_HEADS"]),
        "swin_window": swin["WINDOW_SIZE"],
        "swin_drop_path": swin["DROP_PATH_RATE"],
        "hidden_dim": mask["HIDDEN_DIM"],
        "mask_dim": head["MASK_DIM"],
        "num_heads": mask["NHEADS"],
        "num_mask_tokens": mask["NUM_OBJECT_QUERIES"],
        "pixel_decoder_layers": head["TRANSFORMER_ENC_LAYERS"],
        # One prediction is made before the first layer, and the published count includes it.
        "decoder_layers": mask["DEC_LAYERS"] - 1,
        "decoder_ffn": mask["DIM_FEEDFORWARD"],
        "panoptic_score_threshold": mask["TEST"]["OBJECT_MASK_THRESHOLD"],
        "panoptic_overlap_threshold": mask["TEST"]["OVERLAP_THRESHOLD"],
    }


def _check_width(field: str, values: Mapping[str, Any], expected: int, what: str) -> None:
    if field in values and values[field] != expected:
        raise ConfigError(
            f"The checkpoint's {field} is {values[field]}, but {what} has width {expected}: its config.json does not "
            "belong to a published PSALM."
        )
