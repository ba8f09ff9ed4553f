"""From the states of a condition's tokens to one embedding per condition (PSALM, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from psalm.modeling.input_sequence import Span


def pool_conditions(states: Tensor, conditions: Sequence[Sequence[Span]], pooling: Literal["average", "ref"]) -> Tensor:
    """One (B, K, D) embedding per condition, padded with zeros to the longest of the batch.

    Parameters
    ----------
    states : (B, L, D) tensor
        Last hidden states of the language model.
    conditions : sequence of B sequences of (start, stop)
        The tokens of each condition.
    pooling : {"average", "ref"}
        Mean over all tokens of a condition, or the state of its last one, the anchor.
    """
    longest = max(len(spans) for spans in conditions)
    weights = torch.zeros(len(conditions), longest, states.shape[1])
    for b, spans in enumerate(conditions):
        for k, (start, stop) in enumerate(spans):
            first = stop - 1 if pooling == "ref" else start
            weights[b, k, first:stop] = 1 / (stop - first)
    return weights.to(states) @ states
