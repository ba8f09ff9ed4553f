"""What the proposals of an image should have been."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Target:
    """Ground truth of one image on the model image.

    Parameters
    ----------
    masks : (N, S, S) tensor of bool
    labels : (N,) tensor of int
        The condition that each mask answers: position of its name, 0 for a sentence, position of its region.
    exhaustive : bool
        False when an unmatched proposal is no evidence of background.
    """

    masks: Tensor
    labels: Tensor
    exhaustive: bool = True

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Target:
        """The same on another device."""
        return Target(self.masks.to(device), self.labels.to(device), self.exhaustive)


def mask_iou(mask_logits: Tensor, masks: Tensor) -> Tensor:
    """IoU of proposals with ground truth at the size of the proposals.

    The ground truth keeps the share of each coarse pixel that it covers, so that small objects do not vanish.

    Parameters
    ----------
    mask_logits : (Q, h, w) tensor
    masks : (N, S, S) tensor of bool

    Returns
    -------
    (Q, N) tensor
    """
    if not len(masks):
        return mask_logits.new_zeros((len(mask_logits), 0))
    truth = F.interpolate(masks[None].float(), size=mask_logits.shape[-2:], mode="area")[0].flatten(1)
    proposed = (mask_logits > 0).flatten(1).float()
    shared = proposed @ truth.T
    union = proposed.sum(1)[:, None] + truth.sum(1)[None] - shared
    return shared / union.clamp(min=1e-6)
