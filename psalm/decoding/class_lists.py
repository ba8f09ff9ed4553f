"""Answers to the parts of a class list that is too long to be read at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from psalm.errors import ConditionError
from psalm.proposals import MaskProposals

_IN_QUESTION = 0.25  # probability from which a name is worth reading again; half of the usual threshold
_SAME_OBJECT = 0.5  # IoU from which two proposals of different parts show one object
_NEVER = -1e4  # logit of a name that a proposal was not asked about


def merge_parts(parts: Sequence[MaskProposals]) -> MaskProposals:
    """One answer to a class list from the answers to its parts, each with a background of its own.

    What a part says of a proposal is, per name, how much likelier the name is than the background; that does not depend
    on which other names the part holds, so it can be compared across parts. A proposal keeps the names of its part. The
    likeliest name of all other parts competes with them, through the proposals there that show the same object: it
    joins the background. It does so alone, because every name has some small probability where it is absent, and
    hundreds of them together would outweigh the one that is right.

    Where the generator drafts the same masks whatever is asked, each is returned once, with the names of the part that
    holds its likeliest one.

    Parameters
    ----------
    parts : sequence of MaskProposals
        Of the same images, in the order of the names; within a part, all images were asked the same names.

    Returns
    -------
    MaskProposals
        The proposals of all parts, scored for all names and the background.

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
    best = [each.amax(dim=-1) for each in odds]
    first, *others = parts
    if all(torch.equal(first.mask_logits, other.mask_logits) for other in others):
        shared = torch.stack(best)
        rows = torch.stack([_row(i, odds, _largest(shared, i)) for i in range(len(parts))])
        winner = shared.argmax(dim=0)[None, ..., None].expand(1, *rows.shape[1:])
        return MaskProposals(
            first.mask_logits, rows.gather(0, winner)[0], (rows.shape[-1],) * len(first.mask_logits), first.quality
        )
    rivals = [_rivals(i, parts, best) for i in range(len(parts))]
    logits = torch.cat([_row(i, odds, rival) for i, rival in enumerate(rivals)], dim=1)
    quality = [part.quality for part in parts if part.quality is not None]
    return MaskProposals(
        torch.cat([part.mask_logits for part in parts], dim=1),
        logits,
        (logits.shape[-1],) * len(first.mask_logits),
        torch.cat(quality, dim=1) if quality else None,
    )


def likeliest_names(merged: MaskProposals) -> list[list[int]]:
    """Per image, the names that some proposal most likely shows, to be read again together: better ones first.

    What a language model says of a name depends on the names that it reads beside it. Read again without those that
    are not there, names get the scores that a short list of them has. Where nothing is likely, the likeliest name is
    returned alone.

    Parameters
    ----------
    merged : MaskProposals
        From `merge_parts`.
    """
    chances = merged.condition_logits.softmax(dim=-1)[..., :-1]
    if merged.quality is not None:
        chances = chances * merged.quality[..., None]
    value, name = chances.max(dim=-1)
    best = torch.zeros_like(chances).scatter(-1, name[..., None], value[..., None]).amax(dim=1)
    order = best.argsort(dim=-1, descending=True)
    counts = (best >= _IN_QUESTION).sum(dim=-1).clamp(min=1)
    return [names[:count].tolist() for names, count in zip(order, counts, strict=True)]


def among_all(proposals: MaskProposals, read: Sequence[Sequence[int]], count: int) -> MaskProposals:
    """Proposals that were asked some of `count` names, with columns for all of them; the others never apply.

    Parameters
    ----------
    proposals : MaskProposals
    read : sequence of sequence of int
        Per image, the places in the whole list of the names that it was asked, in the order of its columns.
    count : int
        Names of the whole list.
    """
    logits = proposals.condition_logits
    spread = logits.new_full((*logits.shape[:2], count + 1), _NEVER)
    for i, names in enumerate(read):
        spread[i, :, [*names, count]] = logits[i, :, : len(names) + 1]
    return replace(proposals, condition_logits=spread, num_conditions=(count + 1,) * len(spread))


def _row(part: int, odds: Sequence[Tensor], rival: Tensor) -> Tensor:
    """Logits (B, Q, C + 1) of one part's proposals for the names of all parts and the background.

    `rival` (B, Q) are the odds of the likeliest name of the other parts.
    """
    own = odds[part]
    columns = [
        own if other == part else own.new_full((*own.shape[:2], each.shape[-1]), _NEVER)
        for other, each in enumerate(odds)
    ]
    background = torch.logaddexp(torch.zeros_like(rival), rival)
    return torch.cat([*columns, background[..., None]], dim=-1)


def _largest(best: Tensor, part: int) -> Tensor:
    """Of odds (P, B, Q) per part, the largest of all parts but one."""
    return torch.cat([best[:part], best[part + 1 :]]).amax(dim=0)


def _rivals(part: int, parts: Sequence[MaskProposals], best: Sequence[Tensor]) -> Tensor:
    """Largest odds (B, Q) that the proposals of other parts have which show the same objects."""
    taken = [
        _counterpart(parts[part].mask_logits, other.mask_logits, odds)
        for i, (other, odds) in enumerate(zip(parts, best, strict=True))
        if i != part
    ]
    return torch.stack(taken).amax(dim=0)


def _counterpart(masks: Tensor, others: Tensor, odds: Tensor) -> Tensor:
    """Of the proposals (B, R, h, w) with odds (B, R), those of the one most like each (B, Q, h, w), if it is alike."""
    mine, theirs = ((logits > 0).flatten(2).float() for logits in (masks, others))
    shared = mine @ theirs.mT
    union = mine.sum(dim=2)[:, :, None] + theirs.sum(dim=2)[:, None] - shared
    iou, place = (shared / union.clamp(min=1)).max(dim=2)
    return torch.where(iou >= _SAME_OBJECT, odds.gather(1, place), _NEVER)
