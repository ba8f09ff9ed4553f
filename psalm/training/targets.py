"""What the proposals of an image should have been."""

from __future__ import annotations

from collections.abc import Sequence
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
    seeds : (6, h, w) tensor, optional
        Where the objects are (`psalm.modeling.seeds.seed_targets`), where that is all that is learnt; the masks
        themselves are then not needed.
    """

    masks: Tensor
    labels: Tensor
    exhaustive: bool = True
    known: Tensor | None = None
    seeds: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Target:
        """The same on another device; one that is known stays, since `Answers` takes those of a batch there in one."""
        if self.known is not None:
            return self
        seeds = None if self.seeds is None else self.seeds.to(device)
        return Target(self.masks.to(device), self.labels.to(device), self.exhaustive, None, seeds)

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
    areas, shared, truth = overlaps(mask_logits, coarse(masks, mask_logits.shape[-2:]))
    return shared / (areas[:, None] + truth[None] - shared).clamp(min=1e-6)


def coarse(masks: Tensor, size: Sequence[int]) -> Tensor:
    """The share of each pixel of a coarser (h, w) `size` that masks (N, S, S) cover, (N, h, w)."""
    if not len(masks):
        return torch.zeros(0, *size, device=masks.device)
    return F.interpolate(masks[None].float(), size=tuple(size), mode="area")[0]


def overlaps(mask_logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What proposals share with ground truth.

    Parameters
    ----------
    mask_logits : (Q, h, w) tensor
    truth : (N, h, w) tensor
        As `coarse` gives it.

    Returns
    -------
    areas (Q,), shared (Q, N), areas of the ground truth (N,), in pixels of this size
    """
    proposed, truth = (mask_logits > 0).flatten(1).float(), truth.flatten(1).float()
    return proposed.sum(1), proposed @ truth.T, truth.sum(1)
