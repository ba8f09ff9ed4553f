"""Semantic decoding: one category per pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import cut, to_annotations
from psalm.decoding.thresholds import Thresholds

_QUERIES_AT_ONCE = 16


def decode_semantic(
    masks: QueryMasks, logits: Tensor, condition: CategoryCondition, thresholds: Thresholds
) -> Annotations:
    """One object per category that wins pixels; its score is the mean of its evidence there.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, C + 1) tensor
        Background last.
    condition : CategoryCondition
    thresholds : Thresholds
    """
    evidence = category_evidence(masks, logits)
    best = torch.full(masks.frame.original, -1.0, device=evidence.device)
    winner = torch.full(masks.frame.original, -1, device=evidence.device, dtype=torch.int32)
    for category in range(len(condition)):
        values = masks.to_original(evidence[category : category + 1])[0]
        wins = values > best
        best[wins] = values[wins]
        winner[wins] = category
    winner[best < thresholds.semantic_score] = -1
    found = []
    for category in range(len(condition)):
        mask = winner == category
        cutout = cut(mask)
        if cutout is not None and cutout.area >= thresholds.min_area:
            found.append((float(best[mask].mean()), category, cutout))
    found.sort(key=lambda entry: -entry[0])
    return to_annotations(
        condition,
        masks.frame.original,
        [cutout for _, _, cutout in found],
        [category for _, category, _ in found],
        [score for score, _, _ in found],
    )


def category_evidence(masks: QueryMasks, logits: Tensor) -> Tensor:
    """Per category the sum over queries of category probability times mask probability.

    Returns
    -------
    (C, S, S) tensor
        On the padded model image.
    """
    probabilities = logits.softmax(dim=-1)[:, :-1]
    size = masks.frame.size
    evidence = torch.zeros(probabilities.shape[1], size, size, device=logits.device)
    for start in range(0, len(masks), _QUERIES_AT_ONCE):
        stop = start + _QUERIES_AT_ONCE
        maps = masks.on_model_image(start, stop).sigmoid()
        evidence += torch.einsum("qc,qhw->chw", probabilities[start:stop], maps)
    return evidence
