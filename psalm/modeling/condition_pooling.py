"""From the states of a condition's tokens to one embedding per condition (PSALM, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from psalm.modeling.input_sequence import Span
from psalm.modeling.upload import upload


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
    padded = [[*spans, *[(0, 0)] * (longest - len(spans))] for spans in conditions]
    start, stop = upload(padded, states.device)[..., None].unbind(2)  # (B, K, 1)
    if pooling == "ref":
        start = (stop - 1).clamp(min=0)
    position = torch.arange(states.shape[1], device=states.device)
    inside = (start <= position) & (position < stop)
    return (inside / (stop - start).clamp(min=1)).to(states) @ states
