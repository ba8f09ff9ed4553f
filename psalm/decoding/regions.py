"""Interactive decoding: one mask per region that the user drew."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import VisualPriorCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.resizing import positive_box
from psalm.decoding.result import to_annotations
from psalm.decoding.thresholds import Thresholds
from psalm.proposals import MaskProposals

_NEVER = -1e4  # logit of a region that a proposal was not asked about


def decode_interactive(
    masks: QueryMasks, logits: Tensor, condition: VisualPriorCondition, thresholds: Thresholds
) -> Annotations:
    """The best mask of each region on its own, however low its score, in the order of the regions.

    A region has no object when every mask is empty. Of a generator that judges its masks, which knows what a box is,
    the answer to a box leaves it only where it is rather sure.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, R) tensor
    condition : VisualPriorCondition
    thresholds : Thresholds
    """
    found = []
    for region, relevance in enumerate(logits.sigmoid().unbind(dim=1)):
        own = _heeding_box(masks, condition, region)
        query, score = own.best(relevance)
        cutout, _ = own.look(query)
        if cutout is not None and cutout.area >= thresholds.min_area:
            found.append((score, region, cutout))
    return to_annotations(
        condition,
        masks.frame.original,
        [cutout for _, _, cutout in found],
        [region for _, region, _ in found],
        [score for score, _, _ in found],
    )


def _heeding_box(masks: QueryMasks, condition: VisualPriorCondition, region: int) -> QueryMasks:
    """The masks as a region limits them; the published model's are what its own code makes of them."""
    if not masks.judged or condition.kinds[region] != "box":
        return masks
    box = positive_box(torch.from_numpy(condition.masks[region]))
    return masks.heeding(box) if box else masks


def join_regions(parts: Sequence[MaskProposals]) -> MaskProposals:
    """One answer from the answers to parts of many regions; a region is met by proposals of its own part alone.

    Parameters
    ----------
    parts : sequence of MaskProposals
        Of the same images, in the order of the regions; within a part, all images were asked equally many.
    """
    if len(parts) == 1:
        return parts[0]
    count = sum(part.condition_logits.shape[-1] for part in parts)
    rows, start = [], 0
    for part in parts:
        own = part.condition_logits
        row = own.new_full((*own.shape[:2], count), _NEVER)
        row[..., start : start + own.shape[-1]] = own
        rows.append(row)
        start += own.shape[-1]
    quality = [part.quality for part in parts if part.quality is not None]
    return MaskProposals(
        torch.cat([part.mask_logits for part in parts], dim=1),
        torch.cat(rows, dim=1),
        (count,) * len(rows[0]),
        torch.cat(quality, dim=1) if quality else None,
    )
