"""Bipartite matching of mask proposals with ground truth (PSALM, section 3.3; Mask2Former, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

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

    def select(self, index: Tensor) -> Match:
        """The pairs that `index` (booleans or positions) names."""
        return Match(self.queries[index], self.targets[index])


@torch.no_grad()
def match_proposals(
    mask_logits: Tensor,
    condition_logits: Tensor,
    target: Target,
    config: CriterionConfig,
    points: PointSampler,
    categories: bool,
) -> Match:
    """Find the cheapest one-to-one pairs of proposals and ground truth of one image.

    Parameters
    ----------
    mask_logits : (Q, h, w) tensor
    condition_logits : (Q, K) tensor
        Real columns only. For categories the background is last.
    target : Target
    config : CriterionConfig
        Weights of the costs, and whether masks are compared on points or by their IoU.
    points : PointSampler
    categories : bool
        Whether the conditions are categories: only these add the cost of the class.

    Returns
    -------
    Match
        Ordered by proposal. A proposal never stands for a condition to which it does not belong.
    """
    if not len(target):
        none = torch.zeros(0, dtype=torch.long, device=mask_logits.device)
        return Match(none, none)
    if config.match_on == "iou":
        cost = -config.cost_iou * target.iou(mask_logits)
    else:
        cost = _point_cost(mask_logits.float(), target, config, points)
    logits = condition_logits.float()
    if categories:
        cost = cost - config.cost_class * logits.softmax(-1)[:, target.labels]
    foreign = logits[:, target.labels] <= FOREIGN
    cost = torch.nan_to_num(cost, nan=_NEVER).masked_fill(foreign, _NEVER)
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    match = Match(torch.as_tensor(rows, device=mask_logits.device), torch.as_tensor(columns, device=mask_logits.device))
    return match.select(~foreign[match.queries, match.targets])


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
