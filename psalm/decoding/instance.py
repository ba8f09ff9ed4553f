"""Instance decoding: the best pairs of query and category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import as_numpy, to_annotations
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
    looked: dict[int, tuple[NDArray[np.bool_], float]] = {}
    found = []
    for probability, pair in zip(relevance.tolist(), pairs.tolist(), strict=True):
        if bounds[pair] < thresholds.score:
            continue
        query, category = divmod(pair, len(condition))
        if query not in looked:
            tensor, mask_score = masks.look(query)
            looked[query] = as_numpy(tensor), mask_score
        mask, mask_score = looked[query]
        if probability * mask_score >= thresholds.score and mask.sum() >= max(thresholds.min_area, 1):
            found.append((probability * mask_score, category, mask))
    found.sort(key=lambda entry: -entry[0])
    if thresholds.nms_iou is not None:
        found = [found[i] for i in suppress_overlaps([mask for _, _, mask in found], thresholds.nms_iou)]
    if thresholds.inside is not None:
        masks_and_categories = [(mask, category) for _, category, mask in found]
        found = [found[i] for i in suppress_parts(masks_and_categories, thresholds.inside)]
    return to_annotations(
        condition,
        masks.frame.original,
        [mask for _, _, mask in found],
        [category for _, category, _ in found],
        [score for score, _, _ in found],
    )


def suppress_parts(found: Sequence[tuple[NDArray[np.bool_], int]], share: float) -> list[int]:
    """Positions of the (mask, category) that lie inside no earlier kept one of their category by more than `share`."""
    from pycocotools import mask as coco_mask

    codes = [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask, _ in found]
    kept: list[int] = []
    for i, (code, (_, category)) in enumerate(zip(codes, found, strict=True)):
        better = [codes[k] for k in kept if found[k][1] == category]
        # Against a "crowd", COCO's overlap is the share of the object itself.
        covered = np.asarray(coco_mask.iou([code], better, [1] * len(better))) if better else np.zeros(0)
        if (covered <= share).all():
            kept.append(i)
    return kept


def suppress_overlaps(masks: Sequence[NDArray[np.bool_]], iou: float) -> list[int]:
    """Positions of the masks that no earlier kept mask overlaps by more than `iou`, whatever their categories."""
    from pycocotools import mask as coco_mask

    codes = [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks]
    kept: list[int] = []
    for i, code in enumerate(codes):
        overlaps = coco_mask.iou([codes[k] for k in kept], [code], [0]) if kept else np.zeros(0)
        if (np.asarray(overlaps) <= iou).all():
            kept.append(i)
    return kept
