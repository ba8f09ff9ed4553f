"""Names of the published checkpoint's tensors on the image side, and where they go in ours."""

from __future__ import annotations

import re

# Each row: a pattern over the whole official name, and our name.
_RENAMES: tuple[tuple[str, str], ...] = (
    (r"model\.vision_tower\.norm(\d)\.(.*)", r"backbone.norms.\1.\2"),
    (r"model\.vision_tower\.(.*)", r"backbone.\1"),
    (r"model\.mm_projector\.layer1\.0\.(conv\d)\.(.*)", r"projector.\1.\2"),
    (r"model\.mm_projector\.layer1\.0\.bn(\d)\.(.*)", r"projector.norm\1.\2"),
    (r"model\.mm_projector\.layer1\.0\.downsample\.(.*)", r"projector.shortcut.\1"),
    (r"model\.mm_projector\.fc\.(.*)", r"projector.linear.\1"),
    (r"seg_query", r"mask_generator.seg_query"),
    (r"pixel_decoder\.input_proj\.(.*)", r"mask_generator.pixel_decoder.input_projections.\1"),
    (r"pixel_decoder\.adapter_1\.(.*)", r"mask_generator.pixel_decoder.lateral.\1"),
    (r"pixel_decoder\.layer_1\.(.*)", r"mask_generator.pixel_decoder.output.\1"),
    (r"pixel_decoder\.mask_features\.(.*)", r"mask_generator.pixel_decoder.mask_features.\1"),
    (r"pixel_decoder\.transformer\.level_embed", r"mask_generator.pixel_decoder.level_embed"),
    (r"pixel_decoder\.transformer\.encoder\.(.*)", r"mask_generator.pixel_decoder.\1"),
    (r"predictor\.(query|level)_embed\.weight", r"mask_generator.transformer_decoder.\1_embed"),
    (r"predictor\.decoder_norm\.(.*)", r"mask_generator.transformer_decoder.norm.\1"),
    (r"predictor\.mask_embed\.(.*)", r"mask_generator.transformer_decoder.mask_head.\1"),
    (r"predictor\.CLASS_proj\.(.*)", r"mask_generator.transformer_decoder.condition_heads.categories.\1"),
    (r"predictor\.SEG_proj\.(.*)", r"mask_generator.transformer_decoder.condition_heads.sentence.\1"),
    (r"predictor\.REGION_proj\.(.*)", r"mask_generator.transformer_decoder.condition_heads.regions.\1"),
    (
        r"predictor\.transformer_(cross|self)_attention_layers\.(\d+)\.(?:multihead|self)_attn\.in_proj_(.*)",
        r"mask_generator.transformer_decoder.layers.\2.\1_attention.in_proj.\3",
    ),
    (
        r"predictor\.transformer_(cross|self)_attention_layers\.(\d+)\.(?:multihead|self)_attn\.out_proj\.(.*)",
        r"mask_generator.transformer_decoder.layers.\2.\1_attention.out_proj.\3",
    ),
    (
        r"predictor\.transformer_(cross|self)_attention_layers\.(\d+)\.norm\.(.*)",
        r"mask_generator.transformer_decoder.layers.\2.\1_attention_norm.\3",
    ),
    (
        r"predictor\.transformer_ffn_layers\.(\d+)\.norm\.(.*)",
        r"mask_generator.transformer_decoder.layers.\1.ffn_norm.\2",
    ),
    (r"predictor\.transformer_ffn_layers\.(\d+)\.(.*)", r"mask_generator.transformer_decoder.layers.\1.\2"),
)

# In the checkpoint but without a use: an index that is computed again, and parameters that no forward pass reads.
_UNUSED = r"model\.vision_tower\..*\.relative_position_index|predictor\.(query_feat|SEG_query_embed)\.weight"


def is_unused(key: str) -> bool:
    """Whether an official tensor of the image side has no part in the model and may be left out."""
    return re.fullmatch(_UNUSED, key) is not None


def rename_vision(key: str) -> str | None:
    """Our name of an official tensor of backbone, projector, mask tokens, pixel decoder or transformer decoder.

    Parameters
    ----------
    key : str
        Name in the published checkpoint, such as ``"predictor.decoder_norm.weight"``.

    Returns
    -------
    str or None
        Name in `psalm.modeling.psalm.PSALM`'s state dict; None when the tensor belongs to another part or is unused.
    """
    if is_unused(key):
        return None
    for pattern, name in _RENAMES:
        match = re.fullmatch(pattern, key)
        if match:
            return match.expand(name)
    return None
