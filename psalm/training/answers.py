"""The targets of a batch in one piece: of hundreds of small tensors, each would cost a GPU as much as the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from psalm.modeling.upload import upload
from psalm.training.targets import Target


@dataclass(frozen=True)
class Answers:
    """The targets of B images, padded to N, the most of an image, which is 1 at least.

    Parameters
    ----------
    targets : sequence of B Target
    counts : (B,) array
        Targets per image.
    labels : (B, N) tensor of int
        As `Target.labels`; 0 where it pads.
    exhaustive : (B, 1) tensor of bool
        As `Target.exhaustive`.
    known : (B, Q, N) tensor, optional
        As `Target.known`, where every target has it; 0 where it pads.
    """

    targets: Sequence[Target]
    counts: NDArray[np.int64]
    labels: Tensor
    exhaustive: Tensor
    known: Tensor | None

    @classmethod
    def of(cls, targets: Sequence[Target], device: torch.device) -> Answers:
        """Pad the targets where they are, then take them to the device."""
        counts = np.array([len(target) for target in targets])
        known = [target.known for target in targets if target.known is not None]
        return cls(
            targets,
            counts,
            pad_columns([target.labels for target in targets], counts).to(device, non_blocking=True),
            upload([[target.exhaustive] for target in targets], device),
            pad_columns(known, counts).to(device, non_blocking=True) if len(known) == len(targets) else None,
        )

    @torch.no_grad()
    def overlap(self, mask_logits: Tensor) -> Tensor:
        """IoU (B, Q, N) of proposals (B, Q, h, w) with the masks; 0 where it pads."""
        if self.known is not None:
            return self.known
        found = [target.iou(masks) for target, masks in zip(self.targets, mask_logits, strict=True)]
        return pad_columns(found, self.counts)


def pad_columns(parts: Sequence[Tensor], counts: NDArray[np.int64]) -> Tensor:
    """Tensors (..., n), n as `counts` says, stacked and padded with zeros to (B, ..., N), N being 1 at least."""
    real = np.arange(max(counts.max(), 1)) < counts[:, None]
    joined = torch.cat(list(parts), dim=-1).movedim(-1, 0)  # (sum of n, ...)
    padded = joined.new_zeros(*real.shape, *joined.shape[1:])
    places = upload(real, joined.device).reshape(*real.shape, *[1] * (joined.ndim - 1))
    return padded.masked_scatter(places.expand_as(padded), joined).movedim(1, -1)
