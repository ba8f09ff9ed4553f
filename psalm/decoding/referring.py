"""Referring decoding: the mask, or masks, that a sentence means."""

from __future__ import annotations

import torch
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import SentenceCondition
from psalm.cutouts import Cutout
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import cut, to_annotations
from psalm.decoding.thresholds import Thresholds


def decode_referring(
    masks: QueryMasks, logits: Tensor, condition: SentenceCondition, thresholds: Thresholds
) -> Annotations:
    """The one best mask, however low its score; nothing when every mask is empty.

    The published model takes the best product of relevance and mask score. The small model was taught to choose
    among its masks by relevance alone, and is often near certain of several: the product would be decided by the masks.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, 1) tensor
    condition : SentenceCondition
    thresholds : Thresholds
    """
    if masks.judged:
        relevance = logits[:, 0].float().sigmoid()  # in half precision more of them were equal
        query = masks.first(relevance)
        score = float(relevance[query]) * masks.score(query)
    else:
        query, score = masks.best(logits[:, 0].sigmoid())
    return _one(masks, masks.look(query)[0], score, condition, thresholds)


def decode_generalised_referring(
    masks: QueryMasks, logits: Tensor, condition: SentenceCondition, thresholds: Thresholds
) -> Annotations:
    """The union of all masks above the score threshold, or the best one when there is none.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, 1) tensor
    condition : SentenceCondition
    thresholds : Thresholds
        The published evaluation uses a score of 0.6.
    """
    relevance = logits[:, 0].sigmoid()
    candidates = (masks.bounds(relevance) > thresholds.score).nonzero().flatten().tolist()
    scores = {query: float(relevance[query]) * masks.score(query) for query in candidates}
    chosen = [query for query, score in scores.items() if score > thresholds.score]
    if not chosen:
        return decode_referring(masks, logits, condition, thresholds)
    union = torch.zeros(masks.frame.original, dtype=torch.bool, device=logits.device)
    for query in chosen:
        cutout, _ = masks.look(query)
        if cutout is not None:
            row0, column0, row1, column1 = cutout.box
            union[row0:row1, column0:column1] |= torch.from_numpy(cutout.mask()).to(union.device)
    return _one(masks, cut(union), max(scores[query] for query in chosen), condition, thresholds)


def _one(
    masks: QueryMasks, cutout: Cutout | None, score: float, condition: SentenceCondition, thresholds: Thresholds
) -> Annotations:
    found = [cutout] if cutout is not None and cutout.area >= thresholds.min_area else []
    return to_annotations(condition, masks.frame.original, found, [0] * len(found), [score] * len(found))
