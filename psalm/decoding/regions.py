"""Interactive decoding: one mask per region that the user drew."""

from __future__ import annotations

from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import VisualPriorCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import to_annotations
from psalm.decoding.thresholds import Thresholds


def decode_interactive(
    masks: QueryMasks, logits: Tensor, condition: VisualPriorCondition, thresholds: Thresholds
) -> Annotations:
    """The best mask of each region on its own, however low its score, in the order of the regions.

    A region has no object when every mask is empty.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, R) tensor
    condition : VisualPriorCondition
    thresholds : Thresholds
    """
    found = []
    for region, relevance in enumerate(logits.sigmoid().unbind(dim=1)):
        query, score = masks.best(relevance)
        cutout, _ = masks.look(query)
        if cutout is not None and cutout.area >= thresholds.min_area:
            found.append((score, region, cutout))
    return to_annotations(
        condition,
        masks.frame.original,
        [cutout for _, _, cutout in found],
        [region for _, region, _ in found],
        [score for score, _, _ in found],
    )
