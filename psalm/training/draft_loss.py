"""The loss of the masks that the two-way decoder drafts around visual priors (Segment Anything, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor

from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.training.targets import Target

_FIRST_OF_POINT, _FIRST = 0.2, 0.5  # how much the draft for clear prompts learns beside the best one
_FOCAL, _QUALITY, _KEEP = 0.5, 3.0, 1.0
_KEPT = 2  # seeds per image


class DraftLoss:
    """The best draft of each region learns the object's mask, and every draft how good it is.

    A click may mean a part or a whole, so its best draft is one of the three that are meant for that. The decoder also
    drafts around seeds, and the language side has learnt what its states say of those drafts; they are kept as they
    were when the stage began.

    Parameters
    ----------
    generator : TwoWayGenerator
        As it is before the stage.
    """

    def __init__(self, generator: TwoWayGenerator) -> None:
        self._generator = generator
        self._before = deepcopy(generator).requires_grad_(False).eval()

    def __call__(self, features: ImageFeatures, regions: Sequence[Regions], targets: Sequence[Target]) -> Tensor:
        """The mean over the images of a batch.

        Parameters
        ----------
        features : ImageFeatures
        regions : sequence of Regions
            The visual priors of each image.
        targets : sequence of Target
            The object that each region means; a label is the position of its region.
        """
        losses = [
            self._image(features, b, asked, target)
            for b, (asked, target) in enumerate(zip(regions, targets, strict=True))
            if len(target)
        ]
        return torch.stack(losses).mean() if losses else features.generator["embedding"].sum() * 0

    def _image(self, features: ImageFeatures, b: int, regions: Regions, target: Target) -> Tensor:
        masks, quality, _ = self._generator.decode_regions(features, b, regions)
        masks, quality = masks[target.labels].float(), quality[target.labels].float()
        truth = F.interpolate(target.masks[:, None].float(), masks.shape[-2:], mode="area")[:, 0]
        iou = _overlap(masks.detach() > 0, truth > 0.5)
        is_point = torch.tensor([regions.kinds[i] == "point" for i in target.labels.tolist()], device=iou.device)
        allowed = iou.clone()
        allowed[is_point, 0] = -1
        chosen = masks[torch.arange(len(masks), device=masks.device), allowed.argmax(1)]
        first = torch.where(is_point, _FIRST_OF_POINT, _FIRST) * mask_loss(masks[:, 0], truth)
        loss = (mask_loss(chosen, truth) + first).mean() + _QUALITY * F.mse_loss(quality, iou)
        return loss + _KEEP * self._drift(features, b, truth)

    def _drift(self, features: ImageFeatures, b: int, truth: Tensor) -> Tensor:
        """How far states and quality of some seeds' drafts, half of them on objects, are from what they were."""
        h, w = truth.shape[-2:]
        points = torch.rand(_KEPT, 2, device=truth.device) * self._generator.prior_encoder.image_size
        inside = truth[0].flatten().argmax()
        points[0] = (torch.stack([inside // w, inside % w]) + 0.5) * self._generator.prior_encoder.image_size / h
        _, quality, states = self._generator.decode_seeds(features, b, points)
        with torch.no_grad():
            _, before_quality, before = self._before.decode_seeds(features, b, points)
        scale = before.float().std().clamp(min=1e-6)
        change = ((states.float() - before.float()) / scale).square().mean()
        return change + F.mse_loss(quality.float(), before_quality.float())


def mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Dice, and a focal loss relative to the object's size, of masks (N, h, w) with shares of coarse pixels: (N,)."""
    logits, truth = logits.flatten(1), truth.flatten(1)
    probability = logits.sigmoid()
    size = probability.sum(1) + truth.sum(1)
    dice = 1 - (2 * (probability * truth).sum(1) + 1) / (size + 1)
    missed = torch.where(truth > 0.5, 1 - probability, probability)
    focal = F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * missed.square()
    return dice + _FOCAL * focal.sum(1) / size.detach().clamp(min=30)


def _overlap(masks: Tensor, truth: Tensor) -> Tensor:
    """IoU (N, K) of masks (N, K, h, w) with (N, h, w)."""
    masks, truth = masks.flatten(2), truth.flatten(1)[:, None]
    return (masks & truth).sum(2) / (masks | truth).sum(2).clamp(min=1)
