"""Interactive decoding: one mask per region that the user drew."""

from __future__ import annotations

from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import VisualPriorCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.result import as_numpy, to_annotations
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
        mask = masks.mask(query)
        if int(mask.sum()) >= max(thresholds.min_area, 1):
            found.append((score, region, as_numpy(mask)))
    return to_annotations(
        condition,
        masks.frame.original,
        [mask for _, _, mask in found],
        [region for _, region, _ in found],
        [score for score, _, _ in found],
    )
