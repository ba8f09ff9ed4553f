"""Instance decoding: the best pairs of query and category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import to_annotations
from psalm.decoding.thresholds import Thresholds


def decode_instance(
    masks: QueryMasks, logits: Tensor, condition: CategoryCondition, thresholds: Thresholds
) -> Annotations:
    """Objects by score: probability of the category times mask score.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, C + 1) tensor
        Background last.
    condition : CategoryCondition
    thresholds : Thresholds
    """
    probabilities = logits.softmax(dim=-1)[:, :-1]
    bounds = masks.bounds(probabilities).flatten().tolist()
    relevance, pairs = probabilities.flatten().topk(min(thresholds.top_k or len(masks), probabilities.numel()))
    found = []
    for probability, pair in zip(relevance.tolist(), pairs.tolist(), strict=True):
        if bounds[pair] < thresholds.score:
            continue
        query, category = divmod(pair, len(condition))
        cutout, mask_score = masks.look(query)
        if cutout is None or cutout.area < thresholds.min_area or probability * mask_score < thresholds.score:
            continue
        found.append((probability * mask_score, category, cutout))
    found.sort(key=lambda entry: -entry[0])
    compared = thresholds.nms_iou is not None or thresholds.inside is not None
    codes = [cutout.to_rle(masks.frame.original) for _, _, cutout in found] if compared else []
    if thresholds.nms_iou is not None:
        kept = suppress_overlaps(codes, thresholds.nms_iou)
        found, codes = [found[i] for i in kept], [codes[i] for i in kept]
    if thresholds.inside is not None:
        found = [found[i] for i in suppress_parts(codes, [category for _, category, _ in found], thresholds.inside)]
    return to_annotations(
        condition,
        masks.frame.original,
        [cutout for _, _, cutout in found],
        [category for _, category, _ in found],
        [score for score, _, _ in found],
    )


def suppress_parts(codes: Sequence[dict[str, Any]], categories: Sequence[int], share: float) -> list[int]:
    """Positions of the masks (RLE) that lie inside no earlier kept one of their category by more than `share`."""
    from pycocotools import mask as coco_mask

    kept: list[int] = []
    for i, (code, category) in enumerate(zip(codes, categories, strict=True)):
        better = [codes[k] for k in kept if categories[k] == category]
        # Against a "crowd", COCO's overlap is the share of the object itself.
        covered = np.asarray(coco_mask.iou([code], better, [1] * len(better))) if better else np.zeros(0)
        if (covered <= share).all():
            kept.append(i)
    return kept


def suppress_groups(codes: Sequence[dict[str, Any]], categories: Sequence[int], share: float) -> list[int]:
    """Positions of the masks (RLE, better ones first) in which no two better ones of their category lie.

    Neighbours that are also seen as one thing are a group, and no further object. A mask lies in another one by more
    than `share` of its area.
    """
    from pycocotools import mask as coco_mask

    kept: list[int] = []
    for i, (code, category) in enumerate(zip(codes, categories, strict=True)):
        better = [codes[k] for k in kept if categories[k] == category]
        within = np.asarray(coco_mask.iou(better, [code], [1])) if better else np.zeros(0)
        if np.count_nonzero(within > share) < 2:
            kept.append(i)
    return kept


def suppress_overlaps(codes: Sequence[dict[str, Any]], iou: float) -> list[int]:
    """Positions of the masks (RLE) that no earlier kept mask overlaps by more than `iou`, whatever their categories."""
    from pycocotools import mask as coco_mask

    kept: list[int] = []
    for i, code in enumerate(codes):
        overlaps = coco_mask.iou([codes[k] for k in kept], [code], [0]) if kept else np.zeros(0)
        if (np.asarray(overlaps) <= iou).all():
            kept.append(i)
    return kept
