"""Panoptic decoding: every pixel to at most one segment."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition
from psalm.cutouts import Cutout
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import cut, to_annotations
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
    segments: list[Cutout] = []
    categories: list[int] = []
    segment_scores: list[float] = []
    winner, wholes = _winners(masks, queries, scores)
    for query, whole in zip(queries, wholes, strict=True):
        if whole is None:
            continue
        visible = winner == query
        row0, column0, row1, column1 = whole.box
        segment = Cutout.from_mask(visible[row0:row1, column0:column1] & whole.mask(), (row0, column0))
        if segment is None or np.count_nonzero(visible) < thresholds.panoptic_overlap * whole.area:
            continue
        category, score = int(labels[query]), float(scores[query])
        if not condition.is_thing[category] and category in categories:
            position = categories.index(category)
            segments[position] = joined(segments[position], segment)
            segment_scores[position] = max(segment_scores[position], score)
            continue
        segments.append(segment)
        categories.append(category)
        segment_scores.append(score)
    large = [i for i, segment in enumerate(segments) if segment.area >= thresholds.min_area]
    return to_annotations(
        condition,
        masks.frame.original,
        [segments[i] for i in large],
        [categories[i] for i in large],
        [segment_scores[i] for i in large],
    )


def joined(one: Cutout, other: Cutout) -> Cutout:
    """The mask that covers what either of two masks covers."""
    row0, column0 = (min(pair) for pair in zip(one.corner, other.corner, strict=True))
    row1, column1 = (max(pair) for pair in zip(one.box[2:], other.box[2:], strict=True))
    window = row0, column0, row1, column1
    both = Cutout.from_mask(one.within(window) | other.within(window), (row0, column0))
    return both or one


def _winners(masks: QueryMasks, queries: list[int], scores: Tensor) -> tuple[NDArray[np.int32], list[Cutout | None]]:
    """The query (H, W) that has each pixel, and the whole mask of each query whatever it shows of it."""
    best = torch.full(masks.frame.original, -1.0, device=scores.device)
    winner = torch.full(masks.frame.original, -1, device=scores.device, dtype=torch.int32)
    wholes = []
    for query in queries:
        probability = masks.logits(query).sigmoid_()
        wholes.append(cut(probability >= 0.5))
        wins = probability.mul_(scores[query]) > best
        best[wins] = probability[wins]
        winner[wins] = query
    return winner.cpu().numpy(), wholes
