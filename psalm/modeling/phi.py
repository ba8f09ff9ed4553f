"""Phi, the language model of the published PSALM, fed with embeddings.

The same numbers come from transformers' `PhiModel`, whose names of weights these are. It is written out because the
import of that takes longer than loading a small model, and because it computes in many steps what torch does in one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.utils.checkpoint import checkpoint

from psalm.config import PSALMConfig
from psalm.modeling.in_cache import attend

KeysValues = tuple[Tensor, Tensor]
"""Of one layer, each (B, heads, L, head width)."""

_DEVIATION = 0.02  # of random weights, as Phi was begun


class PhiModel(nn.Module):
    """Layers of attention to the past and a wide linear part, side by side."""

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.lm_hidden)
        self.layers = nn.ModuleList(PhiDecoderLayer(config) for _ in range(config.lm_layers))
        self.final_layernorm = nn.LayerNorm(config.lm_hidden, eps=config.lm_norm_eps)
        self.rotary_width = int(config.lm_hidden // config.lm_heads * config.lm_rotary_fraction)
        self.rotary_theta = config.lm_rope_theta
        self.checkpointing = False
        self.apply(_initialise)

    def forward(
        self,
        embeddings: Tensor,
        mask: Tensor | None = None,
        past: Sequence[KeysValues] = (),
        kept: list[KeysValues] | None = None,
    ) -> Tensor:
        """The last hidden states (B, L, D), after the final norm.

        Parameters
        ----------
        embeddings : (B, L, D) tensor
            Of what follows the `past`.
        mask : tensor of bool, optional
            Who sees whom, see `attention_mask`; everything its past when not given, which needs an empty `past`.
        past : sequence of (keys, values)
            One pair per layer, of what was read before.
        kept : list, optional
            Gets the keys and values of each layer, those of the past included.
        """
        read = past[0][0].shape[2] if past else 0
        angles = self._angles(read, read + embeddings.shape[1], embeddings)
        states = embeddings
        for i, layer in enumerate(self.layers):
            known = past[i] if past else None
            if self.checkpointing and self.training:
                states, pair = checkpoint(layer, states, angles, mask, known, use_reentrant=False)
            else:
                states, pair = layer(states, angles, mask, known)
            if kept is not None:
                kept.append(pair)
        normed: Tensor = self.final_layernorm(states)
        return normed

    def _angles(self, start: int, stop: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine (stop - start, rotary width) of the positions' angles, computed in single precision."""
        steps = torch.arange(0, self.rotary_width, 2, dtype=torch.float32, device=like.device) / self.rotary_width
        frequencies = 1.0 / self.rotary_theta**steps
        positions = torch.arange(start, stop, dtype=torch.float32, device=like.device)
        angles = (positions[:, None] * frequencies).repeat(1, 2)
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


class PhiDecoderLayer(nn.Module):
    """Attention and the linear part, both of the same normed states."""

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        self.self_attn = PhiAttention(config)
        self.mlp = PhiMLP(config)
        self.input_layernorm = nn.LayerNorm(config.lm_hidden, eps=config.lm_norm_eps)

    def forward(
        self, states: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor | None, past: KeysValues | None
    ) -> tuple[Tensor, KeysValues]:
        """The next states (B, L, D), and this layer's keys and values of all that was read."""
        normed = self.input_layernorm(states)
        seen, pair = self.self_attn(normed, angles, mask, past)
        return seen + self.mlp(normed) + states, pair


class PhiAttention(nn.Module):
    """Attention with rotary positions in a part of each head."""

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        self.heads = config.lm_heads
        self.q_proj = nn.Linear(config.lm_hidden, config.lm_hidden)
        self.k_proj = nn.Linear(config.lm_hidden, config.lm_hidden)
        self.v_proj = nn.Linear(config.lm_hidden, config.lm_hidden)
        self.dense = nn.Linear(config.lm_hidden, config.lm_hidden)

    def forward(
        self, states: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor | None, past: KeysValues | None
    ) -> tuple[Tensor, KeysValues]:
        """As the layer's."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        queries, keys, values = (
            projection(states).unflatten(2, (self.heads, -1)).transpose(1, 2) for projection in projections
        )
        queries, keys = _rotated(queries, angles), _rotated(keys, angles)
        if past is not None:
            keys, values = torch.cat((past[0], keys), dim=2), torch.cat((past[1], values), dim=2)
        seen = attend(queries, keys, values, mask, causal=mask is None)
        return self.dense(seen.transpose(1, 2).flatten(2)), (keys, values)


class PhiMLP(nn.Module):
    """Two linear layers."""

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.lm_hidden, config.lm_intermediate)
        self.fc2 = nn.Linear(config.lm_intermediate, config.lm_hidden)

    def forward(self, states: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D)."""
        out: Tensor = self.fc2(gelu(self.fc1(states), approximate="tanh"))
        return out


def _rotated(heads: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys (B, heads, L, width) with the first part of their width turned by their positions."""
    cosine, sine = angles
    turned, rest = heads.tensor_split((cosine.shape[1],), dim=-1)
    one, other = turned.chunk(2, dim=-1)
    return torch.cat((turned * cosine + torch.cat((-other, one), dim=-1) * sine, rest), dim=-1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_DEVIATION)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
