"""MobileSAM's parameter names as ours: its encoder and decoder are good initial weights for the small model."""

from __future__ import annotations

import re

_BACKBONE = (
    (r"patch_embed\.seq\.0\.", "patch_embed.conv1."),
    (r"patch_embed\.seq\.2\.", "patch_embed.conv2."),
    (r"\.c\.", ".conv."),
)
_PRIOR = {
    "pe_layer.positional_encoding_gaussian_matrix": "frequencies",
    "not_a_point_embed.weight": "padding_embedding.weight",
    "no_mask_embed.weight": "no_mask_embedding.weight",
}


def rename_mobile_sam(key: str) -> str | None:
    """Our name of a MobileSAM key; None for its classifier head, which we do not use.

    The four point embeddings are separate there and rows of one table here: they come back as
    ``mask_generator.prior_encoder.point_embeddings.weight[i]``.
    """
    part, rest = key.split(".", 1)
    if part == "image_encoder":
        if rest.startswith(("norm_head.", "head.")):
            return None
        if rest.startswith("neck."):
            return f"mask_generator.{rest}"
        for pattern, replacement in _BACKBONE:
            rest = re.sub(pattern, replacement, rest)
        # A downsample closes a layer there and opens the following stage in timm.
        rest = re.sub(r"^layers\.(\d)\.(downsample)?", lambda m: f"stages_{int(m[1]) + bool(m[2])}.{m[2] or ''}", rest)
        return f"backbone.body.{rest}"
    if part == "prompt_encoder":
        embedding = re.fullmatch(r"point_embeddings\.(\d)\.weight", rest)
        if embedding:
            return f"mask_generator.prior_encoder.point_embeddings.weight[{embedding[1]}]"
        return f"mask_generator.prior_encoder.{_PRIOR.get(rest, rest)}"
    rest = rest.removeprefix("transformer.").replace("mlp.lin1.", "mlp.layers.0.").replace("mlp.lin2.", "mlp.layers.1.")
    return f"mask_generator.decoder.{rest}"
