"""Answers to the parts of a class list that is too long to be read at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from psalm.errors import ConditionError
from psalm.proposals import MaskProposals

_SAME_OBJECT = 0.5  # IoU from which two proposals of different parts show one object
_NEVER = -1e4  # logit of a name that a proposal was not asked about


def merge_parts(parts: Sequence[MaskProposals]) -> MaskProposals:
    """One answer to a class list from the answers to its parts, each with a background of its own.

    What a part says of a proposal is, per name, how much likelier the name is than the background; that does not depend
    on which other names the part holds, so it can be compared across parts. A proposal keeps the names of its part. The
    names of the other parts compete with them through the proposal there that shows the same object: together they join
    its background. With the same masks in every part, all probabilities are those of a single list with these logits.

    Parameters
    ----------
    parts : sequence of MaskProposals
        Of the same images, in the order of the names; within a part, all images were asked the same names.

    Returns
    -------
    MaskProposals
        The proposals of all parts one after the other, scored for all names and the background.

    Raises
    ------
    ConditionError
        When images of a part were asked different numbers of names.
    """
    if len(parts) == 1:
        return parts[0]
    if any(len(set(part.num_conditions)) > 1 for part in parts):
        raise ConditionError(
            "Class lists too long to be read at once differ between images: ask the images one by one."
        )
    odds = [part.condition_logits[..., :-1] - part.condition_logits[..., -1:] for part in parts]
    rows = [_row(i, parts, odds) for i in range(len(parts))]
    quality = [part.quality for part in parts if part.quality is not None]
    count = rows[0].shape[-1]
    return MaskProposals(
        torch.cat([part.mask_logits for part in parts], dim=1),
        torch.cat(rows, dim=1),
        (count,) * len(parts[0].mask_logits),
        torch.cat(quality, dim=1) if quality else None,
    )


def _row(part: int, parts: Sequence[MaskProposals], odds: Sequence[Tensor]) -> Tensor:
    """Logits (B, Q, C + 1) of one part's proposals for the names of all parts and the background."""
    background = torch.zeros_like(odds[part][..., :1])
    for other in range(len(parts)):
        if other != part:
            taken = _counterpart(parts[part].mask_logits, parts[other].mask_logits, odds[other].logsumexp(dim=-1))
            background = torch.logaddexp(background, taken[..., None])
    own = odds[part]
    columns = [
        own if other == part else own.new_full((*own.shape[:2], each.shape[-1]), _NEVER)
        for other, each in enumerate(odds)
    ]
    return torch.cat([*columns, background], dim=-1)


def _counterpart(masks: Tensor, others: Tensor, odds: Tensor) -> Tensor:
    """Of the proposals (B, R, h, w) with odds (B, R), those of the one most like each (B, Q, h, w), if it is alike."""
    mine, theirs = ((logits > 0).flatten(2).float() for logits in (masks, others))
    shared = mine @ theirs.mT
    union = mine.sum(dim=2)[:, :, None] + theirs.sum(dim=2)[:, None] - shared
    iou, place = (shared / union.clamp(min=1)).max(dim=2)
    return torch.where(iou >= _SAME_OBJECT, odds.gather(1, place), _NEVER)
