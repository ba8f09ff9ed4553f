"""Bipartite matching of mask proposals with ground truth (PSALM, section 3.3; Mask2Former, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from psalm.modeling.upload import upload
from psalm.proposals import MaskProposals
from psalm.training.answers import Answers, pad_columns
from psalm.training.config import CriterionConfig
from psalm.training.points import PointSampler, sample_at
from psalm.training.targets import Target

#: A condition logit at or below this says that the proposal does not belong to the condition (or is padding).
FOREIGN = -1e3
_NEVER = 1e6


@dataclass(frozen=True)
class Match:
    """Pairs of one image: proposal ``queries[i]`` stands for ground truth ``targets[i]``; both (M,) tensors of int."""

    queries: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def of(cls, partners: NDArray[np.int64]) -> Match:
        """The pairs of an image whose proposals have these partners (Q,), -1 for none; ordered by proposal."""
        queries = np.flatnonzero(partners >= 0)
        return cls(torch.as_tensor(queries), torch.as_tensor(partners[queries]))


@torch.no_grad()
def match_proposals(
    proposals: MaskProposals,
    answers: Answers,
    config: CriterionConfig,
    points: PointSampler,
    categories: bool,
    overlap: Tensor | None = None,
) -> NDArray[np.int64]:
    """Find the cheapest one-to-one pairs of proposals and ground truth of each image.

    Parameters
    ----------
    proposals : MaskProposals
        For categories, the last condition of an image is the background.
    answers : Answers
    config : CriterionConfig
        Weights of the costs, and whether masks are compared on points or by their IoU.
    points : PointSampler
    categories : bool
        Whether the conditions are categories: only these add the cost of the class.
    overlap : (B, Q, N) tensor, optional
        IoU of proposals and ground truth; computed where it is needed and not given.

    Returns
    -------
    (B, Q) array
        The ground truth that each proposal stands for, -1 for none. A proposal never stands for a condition to which it
        does not belong.
    """
    if config.match_on == "iou":
        cost = -config.cost_iou * (answers.overlap(proposals.mask_logits) if overlap is None else overlap)
    else:
        cost = _point_costs(proposals.mask_logits.float(), answers, config, points)
    logits = proposals.condition_logits.float()
    labels = answers.labels[:, None].expand(-1, logits.shape[1], -1)
    if categories:
        likely = real_conditions(logits, proposals.num_conditions).softmax(-1)
        cost = cost - config.cost_class * likely.gather(2, labels)
    # What is no number is the dearest of what may be.
    cost = cost.nan_to_num(nan=_NEVER / 2, posinf=_NEVER / 2)
    cost = cost.masked_fill(logits.gather(2, labels) <= FOREIGN, _NEVER)
    partners = np.full(cost.shape[:2], -1)
    for image, (costs, count) in enumerate(zip(cost.cpu().numpy(), answers.counts, strict=True)):
        queries, targets = linear_sum_assignment(costs[:, :count])
        allowed = costs[queries, targets] < _NEVER
        partners[image, queries[allowed]] = targets[allowed]
    return partners


def real_conditions(logits: Tensor, counts: Sequence[int]) -> Tensor:
    """Condition logits (B, Q, K) with minus infinity in the columns that pad."""
    if min(counts) == logits.shape[-1]:
        return logits
    padding = np.arange(logits.shape[-1]) >= np.array(counts)[:, None, None]
    return logits.masked_fill(upload(padding, logits.device), -torch.inf)


def _point_costs(mask_logits: Tensor, answers: Answers, config: CriterionConfig, points: PointSampler) -> Tensor:
    """(B, Q, N) costs, 0 where they pad; each image has points of its own."""
    nothing = mask_logits.new_zeros(mask_logits.shape[1], 0)
    costs = [
        _point_cost(masks, target, config, points) if len(target) else nothing
        for masks, target in zip(mask_logits, answers.targets, strict=True)
    ]
    return pad_columns(costs, answers.counts)


def _point_cost(mask_logits: Tensor, target: Target, config: CriterionConfig, points: PointSampler) -> Tensor:
    """(Q, N) cost: binary cross entropy and dice on the same random points for all masks."""
    where = points.uniform(mask_logits)
    proposed = sample_at(mask_logits, where)
    truth = sample_at(target.masks.float(), where)
    positive = F.softplus(-proposed) @ truth.T
    negative = F.softplus(proposed) @ (1 - truth).T
    entropy = (positive + negative) / proposed.shape[1]
    return config.cost_mask * entropy + config.cost_dice * _pairwise_dice(proposed.sigmoid(), truth)


def _pairwise_dice(proposed: Tensor, truth: Tensor) -> Tensor:
    shared = 2 * proposed @ truth.T
    return 1 - (shared + 1) / (proposed.sum(1)[:, None] + truth.sum(1)[None] + 1)
