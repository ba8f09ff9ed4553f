"""The language model: Phi, fed with embeddings (PSALM, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from psalm.config import PSALMConfig
from psalm.modeling.input_sequence import InputSequence, Span
from psalm.modeling.phi import KeysValues, PhiModel
from psalm.modeling.upload import upload


@dataclass(frozen=True)
class PrefixCache:
    """Keys and values of the part of a sequence that depends on image and task only.

    Parameters
    ----------
    layers : tuple of (keys, values)
        One pair per layer, each (B, heads, P, head width); none where nothing was read.
    token_ids : tuple of int
        The `Prompt.prefix` that was read.
    """

    layers: tuple[KeysValues, ...]
    token_ids: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many embeddings (P) have been read."""
        return self.layers[0][0].shape[2] if self.layers else 0

    @property
    def nbytes(self) -> int:
        """Memory it holds."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)

    @classmethod
    def begin(cls, layers: Sequence[KeysValues], length: int, token_ids: tuple[int, ...]) -> PrefixCache:
        """The first `length` embeddings of longer sequences, whose other keys and values are let go."""
        pairs = ((keys[:, :, :length].clone(), values[:, :, :length].clone()) for keys, values in layers)
        return cls(tuple(pairs), token_ids)

    def expand(self, batch: int) -> tuple[KeysValues, ...]:
        """The layers of a single sequence for a batch."""
        return tuple((keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1)) for keys, values in self.layers)

    def repeat(self, times: int) -> PrefixCache:
        """The same for so many prompts per image, neighbouring in the batch."""
        pairs = ((keys.repeat_interleave(times, 0), values.repeat_interleave(times, 0)) for keys, values in self.layers)
        return PrefixCache(tuple(pairs), self.token_ids)


class LanguageModel(nn.Module):
    """Phi without its own input; `lm_head` waits for training on conversations."""

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        self.model = PhiModel(config)
        self.full_attention = config.mask_token_attention == "full"
        # Only the published checkpoint has one; a small model saves the weight.
        published = config.mask_generator == "mask2former"
        self.lm_head = nn.Linear(config.lm_hidden, config.vocab_size, bias=False) if published else None

    def set_checkpointing(self, on: bool) -> None:
        """Compute the layers again on the way back of training instead of keeping what they made."""
        self.model.checkpointing = on

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        """Token ids (n,) to embeddings (n, D)."""
        return self.model.embed_tokens(token_ids)

    def forward(
        self, sequence: InputSequence, prefix: PrefixCache | None = None, kept: list[KeysValues] | None = None
    ) -> Tensor:
        """The last hidden states (B, L, D), after the final norm.

        Padding lies on the right, where attention to the past alone cannot see it; its own states mean nothing. With a
        `prefix`, the states of the embeddings that it covers are zero. `kept` gets the keys and values of all layers.
        """
        read = prefix.length if prefix else 0
        mask = None
        if read or self.full_attention:
            spans = sequence.mask_tokens if self.full_attention else ()
            mask = attention_mask(sequence.embeddings.shape[:2], spans, read, sequence.embeddings.device)
        past = prefix.expand(len(sequence.embeddings)) if prefix else ()
        states = self.model(sequence.embeddings[:, read:], mask, past, kept)
        return nn.functional.pad(states, (0, 0, read, 0))

    def read_prefix(
        self, embeddings: Tensor, token_ids: tuple[int, ...], opening: PrefixCache | None = None
    ) -> PrefixCache:
        """Read the beginning of sequences once, so that whatever begins with it continues from there.

        Parameters
        ----------
        embeddings : (B, P, D) tensor
        token_ids : tuple of int
            What the embeddings stand for.
        opening : PrefixCache, optional
            What was read of them before, the same for all B.
        """
        read = opening.length if opening else 0
        past = opening.expand(len(embeddings)) if opening else ()
        mask = attention_mask(embeddings.shape[:2], (), read, embeddings.device) if read else None
        kept: list[KeysValues] = []
        self.model(embeddings[:, read:], mask, past, kept)
        return PrefixCache(tuple(kept), token_ids)


def attention_mask(shape: Sequence[int], mask_tokens: Sequence[Span], read: int, device: torch.device) -> Tensor:
    """Who sees whom, (B or 1, 1, L - read, L) bool: everything its past, and the mask tokens each other.

    Parameters
    ----------
    shape : (B, L)
        Of the padded batch.
    mask_tokens : sequence of (int, int)
        Start and stop per image; empty for plain causal attention.
    read : int
        Leading positions that ask nothing, because their keys and values are known.
    """
    position = torch.arange(shape[1], device=device)
    causal = position[None, :] <= position[:, None]
    if not mask_tokens:
        return causal[None, None, read:]
    start, stop = upload(mask_tokens, device).T[..., None]
    inside = (start <= position) & (position < stop)
    return (causal | inside[:, :, None] & inside[:, None, :])[:, None, read:]
