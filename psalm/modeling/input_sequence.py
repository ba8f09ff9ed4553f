"""The input of the language model: image, instruction prompt, condition prompt, mask tokens (PSALM, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from psalm.errors import ConditionError
from psalm.prompts import IMAGE, MASK_TOKENS, REGION, Prompt

Span = tuple[int, int]


@dataclass(frozen=True)
class InputSequence:
    """Embeddings of a batch and where its parts lie.

    Parameters
    ----------
    embeddings : (B, L, D) tensor
        Padded on the right with zeros.
    lengths : tuple of int
        Real embeddings per image.
    mask_tokens : tuple of (int, int)
        Start and stop of the mask tokens in each image's sequence.
    conditions : tuple of tuple of (int, int)
        Start and stop of each condition in each image's sequence.
    """

    embeddings: Tensor
    lengths: tuple[int, ...]
    mask_tokens: tuple[Span, ...]
    conditions: tuple[tuple[Span, ...], ...]

    @property
    def prefix_length(self) -> int:
        """How many embeddings of the first image come before its conditions and mask tokens."""
        return min(self.mask_tokens[0][0], *(start for start, _ in self.conditions[0]))

    def mask_token_states(self, states: Tensor) -> Tensor:
        """The (B, Q, D) states of the mask tokens among all (B, L, D) states, padded with zeros as the tokens were."""
        rows = [states[b, start:stop] for b, (start, stop) in enumerate(self.mask_tokens)]
        return pad_sequence(rows, batch_first=True)


def assemble(
    prompts: Sequence[Prompt],
    embed_tokens: Callable[[Tensor], Tensor],
    image_tokens: Tensor,
    mask_tokens: Tensor,
    region_tokens: Tensor | None = None,
    num_mask_tokens: Sequence[int] | None = None,
) -> InputSequence:
    """Put image, region and mask tokens in the place of their placeholders.

    Parameters
    ----------
    prompts : sequence of B Prompt
    embed_tokens : callable
        Token ids (n,) to embeddings (n, D).
    image_tokens : (B, T, D) tensor
    mask_tokens : (B, Q, D) tensor
    region_tokens : (B, R, D) tensor, optional
        Needed by prompts with regions; the first `num_conditions` rows of an image are used.
    num_mask_tokens : sequence of int, optional
        How many of the Q mask tokens of each image are real; all when not given.
    """
    rows, mask_spans, condition_spans = [], [], []
    for b, prompt in enumerate(prompts):
        regions = None if region_tokens is None else region_tokens[b]
        real = mask_tokens[b] if num_mask_tokens is None else mask_tokens[b, : num_mask_tokens[b]]
        rows.append(fill_in(prompt.token_ids, embed_tokens, image_tokens[b], real, regions))
        sizes = {IMAGE: image_tokens.shape[1], MASK_TOKENS: len(real)}
        starts = [0, *accumulate(sizes.get(token, 1) for token in prompt.token_ids)]
        at = prompt.token_ids.index(MASK_TOKENS)
        mask_spans.append((starts[at], starts[at + 1]))
        condition_spans.append(tuple((starts[start], starts[stop]) for start, stop in prompt.spans))
    return InputSequence(
        pad_sequence(rows, batch_first=True),
        tuple(len(row) for row in rows),
        tuple(mask_spans),
        tuple(condition_spans),
    )


def fill_in(
    token_ids: Sequence[int],
    embed_tokens: Callable[[Tensor], Tensor],
    image_tokens: Tensor,
    mask_tokens: Tensor | None = None,
    region_tokens: Tensor | None = None,
) -> Tensor:
    """One image's embeddings (L, D): text, with image (T, D), mask (Q, D) and region tokens (R, D) in their places."""
    ids = torch.tensor(token_ids, device=image_tokens.device)
    text = embed_tokens(ids.clamp(min=0))
    sources = {IMAGE: image_tokens, MASK_TOKENS: mask_tokens}
    parts, done, regions = [], 0, 0
    for at, token in enumerate(token_ids):
        if token >= 0:
            continue
        filling = sources.get(token)
        if token == REGION and region_tokens is not None:
            filling = region_tokens[regions : regions + 1]
            regions += 1
        if filling is None:
            raise ConditionError(f"Nothing was given for the placeholder {token} of a prompt: pass what it stands for.")
        parts += [text[done:at], filling]
        done = at + 1
    return torch.cat([*parts, text[done:]])
