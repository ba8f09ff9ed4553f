"""The transformer decoder: mask tokens look at the image, then give masks and scores (Mask2Former, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psalm.config import PSALMConfig
from psalm.modeling.features import ConditionEmbeddings
from psalm.modeling.in_cache import attend, is_apart
from psalm.modeling.position_encoding import sine_position_encoding
from psalm.proposals import MaskProposals


class MLP(nn.Module):
    """Linear layers of width `dim` with a ReLU between each two; the last is `out` wide, or `dim`."""

    def __init__(self, dim: int, layers: int, out: int | None = None) -> None:
        super().__init__()
        widths = [dim] * layers + [out or dim]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to (..., out)."""
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


class Attention(nn.Module):
    """Multi-head attention; queries, keys and values are projected by one packed layer."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Attend from query (B, Q, dim) to key and value (B, N, dim) where `allowed` (B, Q, N) is True."""
        weights, biases = self.in_proj.weight.chunk(3), self.in_proj.bias.chunk(3)
        q, k, v = (
            F.linear(x, weight, bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        mask = None if allowed is None else allowed[:, None]
        attended = attend(q, k, v, mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class TransformerDecoderLayer(nn.Module):
    """Masked cross-attention, self-attention and a feed-forward network; each with a residual and a norm after."""

    def __init__(self, dim: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.cross_attention = Attention(dim, heads)
        self.cross_attention_norm = nn.LayerNorm(dim)
        self.self_attention = Attention(dim, heads)
        self.self_attention_norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.ffn_norm = nn.LayerNorm(dim)

    def forward(self, queries: Tensor, query_position: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
        """Update queries (B, Q, dim) from key and value (B, N, dim) where `allowed` (B, Q, N) is True."""
        attended = self.cross_attention(queries + query_position, key, value, allowed)
        queries = self.cross_attention_norm(queries + attended)
        placed = queries + query_position
        queries = self.self_attention_norm(queries + self.self_attention(placed, placed, queries))
        return self.ffn_norm(queries + self.linear2(self.linear1(queries).relu()))


class TransformerDecoder(nn.Module):
    """Masked-attention decoder whose classifier weights are the condition embeddings (PSALM, section 3.2).

    Parameters
    ----------
    config : PSALMConfig
        Its ``hidden_dim``, ``mask_dim``, ``num_heads``, ``num_mask_tokens`` and ``decoder_*`` fields.
    num_levels : int
        Levels of the image that the layers look at in turn, coarsest first.
    """

    def __init__(self, config: PSALMConfig, num_levels: int = 3) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.query_embed = nn.Parameter(torch.empty(config.num_mask_tokens, dim))
        self.level_embed = nn.Parameter(torch.empty(num_levels, dim))
        self.decoupled = config.classification == "decoupled"
        self.layers = nn.ModuleList(
            TransformerDecoderLayer(dim, config.num_heads, config.decoder_ffn) for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.mask_head = MLP(dim, 3, config.mask_dim)
        self.condition_heads = nn.ModuleDict({kind: MLP(dim, 2) for kind in ("categories", "sentence", "regions")})
        nn.init.normal_(self.query_embed)
        nn.init.normal_(self.level_embed)

    def forward(
        self, queries: Tensor, mask_features: Tensor, multi_scale: Sequence[Tensor], conditions: ConditionEmbeddings
    ) -> list[MaskProposals]:
        """Decode.

        Parameters
        ----------
        queries : (B, Q, hidden_dim) tensor
            Projected output states of the mask tokens.
        mask_features : (B, mask_dim, h, w) tensor
            Pixel embeddings.
        multi_scale : sequence of (B, hidden_dim, h_i, w_i) tensors
            Image levels, coarsest first.
        conditions : ConditionEmbeddings
            What the masks are scored against.

        Returns
        -------
        list of MaskProposals
            Before the first layer and after each one; the last is final. In torch's inference mode, where nothing can
            be learnt, the final one alone.
        """
        sizes = [(level.shape[2], level.shape[3]) for level in multi_scale]
        values = [
            level.flatten(2).transpose(1, 2) + code for level, code in zip(multi_scale, self.level_embed, strict=True)
        ]
        keys = [
            value + sine_position_encoding(size, value.shape[2], value.device, value.dtype)
            for size, value in zip(sizes, values, strict=True)
        ]
        # Resizing is linear: the masks of resized features are the resized masks, for a fraction of the work.
        resized = [F.interpolate(mask_features, size=size, mode="bilinear", align_corners=False) for size in sizes]
        proposals, mask_tokens = [], queries
        for index, layer in enumerate(self.layers):
            if not torch.is_inference_mode_enabled():
                proposals.append(self._propose(queries, mask_tokens, mask_features, conditions))
            level = index % len(sizes)
            allowed = _attention_mask(self._masks(self.norm(queries), resized[level]))
            queries = layer(queries, self.query_embed, keys[level], values[level], allowed)
        return [*proposals, self._propose(queries, mask_tokens, mask_features, conditions)]

    def _propose(
        self, queries: Tensor, mask_tokens: Tensor, mask_features: Tensor, conditions: ConditionEmbeddings
    ) -> MaskProposals:
        queries = self.norm(queries)
        scored = self.condition_heads[conditions.kind](queries if self.decoupled else self.norm(mask_tokens))
        return MaskProposals(
            mask_logits=self._masks(queries, mask_features),
            condition_logits=scored @ conditions.embeddings.transpose(1, 2),
            num_conditions=conditions.num_conditions,
        )

    def _masks(self, queries: Tensor, features: Tensor) -> Tensor:
        """Mask logits (B, Q, h, w) of queries after their norm (B, Q, dim) on features (B, mask_dim, h, w)."""
        queries, pixels = self.mask_head(queries), features.flatten(2)
        if is_apart(queries):
            # Torch's product of batches would copy the pixels first.
            masks = torch.stack([one @ image for one, image in zip(queries, pixels, strict=True)])
        else:
            masks = queries @ pixels
        return masks.unflatten(2, features.shape[2:])


def _attention_mask(mask_logits: Tensor) -> Tensor:
    """Where each query may look: inside its own mask, or everywhere when that is empty; (B, Q, rows * columns) bool."""
    inside = mask_logits.detach().flatten(2) >= 0
    return inside | ~inside.any(dim=2, keepdim=True)
