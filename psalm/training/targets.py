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
    known : (Q, N) tensor, optional
        IoU of every proposal with every mask, where it is known beforehand; the masks themselves are then not needed.
    """

    masks: Tensor
    labels: Tensor
    exhaustive: bool = True
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Target:
        """The same on another device."""
        known = None if self.known is None else self.known.to(device)
        return Target(self.masks.to(device), self.labels.to(device), self.exhaustive, known)

    def iou(self, mask_logits: Tensor) -> Tensor:
        """IoU (Q, N) of proposals (Q, h, w) with the masks."""
        return mask_iou(mask_logits, self.masks) if self.known is None else self.known


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
    areas, shared, truth = overlaps(mask_logits, masks)
    return shared / (areas[:, None] + truth[None] - shared).clamp(min=1e-6)


def overlaps(mask_logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Areas of proposals (Q,), pixels shared with ground truth (Q, N), areas of ground truth (N,); as in `mask_iou`."""
    proposed = (mask_logits > 0).flatten(1).float()
    if not len(masks):
        return proposed.sum(1), proposed.new_zeros((len(proposed), 0)), proposed.new_zeros(0)
    truth = F.interpolate(masks[None].float(), size=mask_logits.shape[-2:], mode="area")[0].flatten(1)
    return proposed.sum(1), proposed @ truth.T, truth.sum(1)
