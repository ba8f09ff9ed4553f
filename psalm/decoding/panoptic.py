"""Panoptic decoding: every pixel to at most one segment."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import as_numpy, to_annotations
from psalm.decoding.thresholds import Thresholds


def decode_panoptic(
    masks: QueryMasks, logits: Tensor, condition: CategoryCondition, thresholds: Thresholds
) -> Annotations:
    """Segments without overlap: one per thing, one per stuff category.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, C + 1) tensor
        Background last.
    condition : CategoryCondition
    thresholds : Thresholds
    """
    scores, labels = logits.softmax(dim=-1).max(dim=-1)
    keep = (labels != len(condition)) & (scores > thresholds.panoptic_score)
    queries = keep.nonzero().flatten().tolist()
    segments: list[NDArray[np.bool_]] = []
    categories: list[int] = []
    segment_scores: list[float] = []
    for query, (visible, whole) in zip(queries, _shares(masks, queries, scores), strict=True):
        segment = as_numpy(visible & whole)
        if not segment.any() or int(visible.sum()) < thresholds.panoptic_overlap * int(whole.sum()):
            continue
        category, score = int(labels[query]), float(scores[query])
        if not condition.is_thing[category] and category in categories:
            position = categories.index(category)
            segments[position] |= segment
            segment_scores[position] = max(segment_scores[position], score)
            continue
        segments.append(segment)
        categories.append(category)
        segment_scores.append(score)
    large = [i for i, segment in enumerate(segments) if int(segment.sum()) >= thresholds.min_area]
    return to_annotations(
        condition,
        masks.frame.original,
        [segments[i] for i in large],
        [categories[i] for i in large],
        [segment_scores[i] for i in large],
    )


def _shares(masks: QueryMasks, queries: list[int], scores: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Per query: the pixels (H, W) where it beats the others, and the pixels of its whole mask."""
    best = torch.full(masks.frame.original, -1.0, device=scores.device)
    winner = torch.full(masks.frame.original, -1, device=scores.device, dtype=torch.int32)
    wholes = []
    for query in queries:
        probability = masks.logits(query).sigmoid()
        wholes.append(probability >= 0.5)
        weighted = scores[query] * probability
        wins = weighted > best
        best[wins] = weighted[wins]
        winner[wins] = query
    return [(winner == query, whole) for query, whole in zip(queries, wholes, strict=True)]
