"""The input of the language model: image, instruction prompt, condition prompt, mask tokens (PSALM, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from psalm.errors import ConditionError
from psalm.modeling.upload import upload
from psalm.prompts import IMAGE, MASK_TOKENS, REGION, Prompt

Span = tuple[int, int]
Integers = NDArray[np.int64]


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
        start, stop = np.array(self.mask_tokens).T[..., None]
        places = start + np.arange((stop - start).max())
        rows = np.arange(len(places))[:, None] * states.shape[1]
        index = upload(rows + np.minimum(places, states.shape[1] - 1), states.device)
        found = states.flatten(0, 1).index_select(0, index.flatten()).unflatten(0, index.shape)
        return found.masked_fill(upload(places >= stop, states.device)[..., None], 0)


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

    Raises
    ------
    ConditionError
        When a prompt has a placeholder for which nothing was given.
    """
    ids = [prompt.token_ids for prompt in prompts]
    places = _Places.of(ids, image_tokens, mask_tokens, region_tokens, num_mask_tokens)
    starts = places.starts_in_rows()
    at = [prompt.token_ids.index(MASK_TOKENS) for prompt in prompts]
    return InputSequence(
        places.gather(embed_tokens, image_tokens, mask_tokens, region_tokens),
        tuple(places.lengths.tolist()),
        tuple((row[i], row[i + 1]) for row, i in zip(starts, at, strict=True)),
        tuple(tuple((row[a], row[b]) for a, b in prompt.spans) for row, prompt in zip(starts, prompts, strict=True)),
    )


def fill_in(
    token_ids: Sequence[Sequence[int]], embed_tokens: Callable[[Tensor], Tensor], image_tokens: Tensor
) -> tuple[Tensor, tuple[int, ...]]:
    """Embeddings of texts with images (B, T, D) in their places, without any other placeholder.

    Returns
    -------
    (B, L, D) tensor
        Padded on the right with zeros.
    tuple of int
        Real embeddings per text.

    Raises
    ------
    ConditionError
        When a text has a placeholder for something else.
    """
    places = _Places.of(token_ids, image_tokens)
    return places.gather(embed_tokens, image_tokens), tuple(places.lengths.tolist())


@dataclass(frozen=True)
class _Places:
    """Where each of the N tokens of B prompts takes its embeddings from, and how many it stands for.

    All is worked out on the host: a batch of many prompts would otherwise be made of thousands of small tensors.

    Parameters
    ----------
    ids : (N,) array
        Of all prompts, one after the other.
    row : (N,) array
        The prompt of each.
    size : (N,) array
        How many embeddings it stands for.
    first : (N,) array
        The first of them among those of all tokens, then of the images, the mask tokens and the regions.
    batch : int
    """

    ids: Integers
    row: Integers
    size: Integers
    first: Integers
    batch: int

    @classmethod
    def of(
        cls,
        token_ids: Sequence[Sequence[int]],
        image_tokens: Tensor,
        mask_tokens: Tensor | None = None,
        region_tokens: Tensor | None = None,
        num_mask_tokens: Sequence[int] | None = None,
    ) -> _Places:
        """Of prompts, given what fills their placeholders; see `assemble`."""
        ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in token_ids])
        row = np.repeat(np.arange(len(token_ids)), [len(row) for row in token_ids])
        size, first, filled, at = np.ones_like(ids), np.arange(len(ids)), ids >= 0, len(ids)
        for placeholder, given, counts in (
            (IMAGE, image_tokens, None),
            (MASK_TOKENS, mask_tokens, num_mask_tokens),
            (REGION, region_tokens, [1] * len(token_ids)),
        ):
            if given is None:
                continue
            here, most = np.flatnonzero(ids == placeholder), given.shape[1]
            rows = row[here]
            size[here] = most if counts is None else np.asarray(counts)[rows]
            first[here] = at + rows * most
            if placeholder == REGION:  # the only one that a prompt has several of
                nth = np.arange(len(rows)) - np.searchsorted(rows, rows)
                first[here] += nth
                here = here[nth < most]
            filled[here] = True
            at += len(given) * most
        if not filled.all():
            token = ids[~filled][0]
            raise ConditionError(f"Nothing was given for the placeholder {token} of a prompt: pass what it stands for.")
        return cls(ids, row, size, first, len(token_ids))

    @property
    def lengths(self) -> Integers:
        """Embeddings per prompt, (B,)."""
        return np.bincount(self.row, self.size, self.batch).astype(np.int64)

    def starts_in_rows(self) -> list[list[int]]:
        """Where the embeddings of each prompt's tokens begin in its sequence, and where the last ones end."""
        stops, counts = np.cumsum(self.size), np.bincount(self.row, minlength=self.batch)
        before = np.cumsum(self.lengths) - self.lengths
        rows = np.split(stops - before[self.row], np.cumsum(counts)[:-1])
        return [[0, *row.tolist()] for row in rows]

    def gather(self, embed_tokens: Callable[[Tensor], Tensor], *given: Tensor | None) -> Tensor:
        """The embeddings (B, L, D) from those of the token ids and what was `given`, each (B, n, D), in one step."""
        device = next(part.device for part in given if part is not None)
        text = embed_tokens(upload(self.ids, device).clamp(min=0))
        parts = [text, *(part.flatten(0, 1) for part in given if part is not None)]
        nothing = sum(len(part) for part in parts)
        index = np.full((self.batch, self.lengths.max()), nothing)
        begun = np.repeat(np.cumsum(self.size) - self.size, self.size)
        within = np.arange(self.size.sum()) - begun
        index[np.arange(index.shape[1]) < self.lengths[:, None]] = np.repeat(self.first, self.size) + within
        every = torch.cat([*parts, text.new_zeros(1, text.shape[1])])
        return every.index_select(0, upload(index, device).flatten()).unflatten(0, index.shape)
