"""Text after an image: next-token logits and their loss, the fourth kind of training batch (PSALM, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from psalm.errors import ConfigError
from psalm.modeling.input_sequence import InputSequence, fill_in
from psalm.modeling.psalm import PSALM
from psalm.prompts import IMAGE

IGNORE = -100


def conversation_logits(model: PSALM, image_tokens: Tensor, token_ids: Sequence[Sequence[int]]) -> Tensor:
    """Logits of the next token at every position, (B, L, vocabulary).

    Parameters
    ----------
    model : PSALM
        With a language model head, as the published model has one.
    image_tokens : (B, T, lm_hidden) tensor
        Projected images.
    token_ids : sequence of B sequences of int
        Each with at most one `psalm.prompts.IMAGE`; L is the longest with its image in place.

    Raises
    ------
    ConfigError
        When the model has no head for text.
    """
    language = model.language_model
    if language.lm_head is None:
        raise ConfigError("This model writes no text: it was built without a language model head.")
    embeddings, lengths = fill_in(token_ids, language.embed_tokens, image_tokens)
    nothing = ((0, 0),) * len(lengths)
    states = language(InputSequence(embeddings, lengths, nothing, ((),) * len(lengths)))
    return language.lm_head(states)


def expand_labels(token_ids: Sequence[int], labels: Sequence[int], num_image_tokens: int) -> list[int]:
    """Labels of one text for the sequence with its image in place; image tokens are not learned."""
    expanded: list[int] = []
    for token, label in zip(token_ids, labels, strict=True):
        expanded += [IGNORE] * num_image_tokens if token == IMAGE else [label]
    return expanded


def next_token_loss(logits: Tensor, labels: Sequence[Sequence[int]]) -> Tensor:
    """Mean cross entropy of the labels, each predicted from all that stands before it.

    Parameters
    ----------
    logits : (B, L, vocabulary) tensor
    labels : sequence of B sequences of int
        As long as each text with its image; `IGNORE` is not learned.
    """
    wanted = torch.full(logits.shape[:2], IGNORE, device=logits.device)
    for row, given in zip(wanted, labels, strict=True):
        row[: len(given)] = torch.tensor(given, device=logits.device)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), wanted[:, 1:].flatten(), ignore_index=IGNORE)
