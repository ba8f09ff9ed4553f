"""The loss of the masks that the two-way decoder drafts around visual priors (Segment Anything, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor

from psalm.modeling.box_agreement import heed_boxes
from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.two_way_generator import SecondDrafts, TwoWayGenerator
from psalm.training.targets import Target

_FIRST_OF_POINT, _FIRST = 1.0, 0.5  # how much the first draft, the safest guess, learns beside the best one
_FOCAL, _QUALITY, _CHOICE, _KEEP, _KEEP_MASKS = 0.5, 3.0, 0.5, 1.0, 0.5
_SHARPNESS = 20.0  # how decidedly the better estimate is taken to be chosen
_KEPT = 3  # seeds per image
_ITS_OWN = 0.3  # IoU below which a draft shows another object, whose outline is not known


class DraftLoss:
    """The best draft of each region learns the object's mask, every draft how good it is, and the best to be chosen.

    A click may mean a part or a whole, so its best draft is one of the three that are meant for that; the first is what
    can be said without knowing. The decoder also drafts around seeds, and the language side has learnt what its states
    say of those drafts; they are kept as they were when the stage began. So are the masks of seeds outside of the
    labelled objects, or it would forget how to draw what nobody labelled: a vessel, a word on a page.

    A box is drafted twice, and the mean of all its drafts is its mask; the second drafts and the mean learn the object
    as well. The outlines of what would be shown are learnt beside, and change nothing of the drafts.

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
        decoded = self._generator.decode_regions(features, b, regions)
        masks, quality, states = (x[target.labels].float() for x in decoded)
        asked = Regions(
            regions.masks[target.labels],
            tuple(regions.kinds[i] for i in target.labels.tolist()),
        )
        truth = F.interpolate(target.masks[:, None].float(), masks.shape[-2:], mode="area")[:, 0]
        iou = _overlap(masks.detach() > 0, truth > 0.5)
        is_point = torch.tensor([kind == "point" for kind in asked.kinds], device=iou.device)
        allowed = iou.clone()
        allowed[is_point, 0] = -1
        chosen = masks[torch.arange(len(masks), device=masks.device), allowed.argmax(1)]
        first = torch.where(is_point, _FIRST_OF_POINT, _FIRST) * mask_loss(masks[:, 0], truth)
        loss = (mask_loss(chosen, truth) + first).mean() + _estimates(quality, iou)
        of_boxes, drafts, drawn_by = self._shown(features, b, asked, (masks, quality, states), truth)
        loss = loss + of_boxes
        own = _overlap(drafts[:, None] > 0, truth > 0.5)[:, 0] > _ITS_OWN
        learns = any(parameter.requires_grad for parameter in self._generator.fine_masks.parameters())
        if learns and own.any():
            loss = loss + self._outlines(features, b, drafts[own], drawn_by[own], target.masks[own])
        return loss + _KEEP * self._drift(features, b, truth)

    def _shown(
        self, features: ImageFeatures, b: int, asked: Regions, drafted: tuple[Tensor, Tensor, Tensor], truth: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of the boxes' second drafts; the masks (N, h, w) that would be shown, and their states (N, C)."""
        masks, quality, states = drafted
        heeded = heed_boxes(quality.detach().clamp(0, 1), masks.detach() > 0, asked)
        best = torch.arange(len(masks), device=masks.device), heeded.argmax(1)
        shown, drawn_by = masks[best].detach(), states[best].detach()
        second = self._generator.draft_boxes_again(features, b, asked, masks, heeded)
        if second is None:
            return masks.sum() * 0, shown, drawn_by
        shown = shown.index_put((second.rows,), second.agreed.detach().float())
        drawn_by = drawn_by.index_put((second.rows,), second.state.detach().float())
        return _of_second_drafts(second, truth[second.rows]), shown, drawn_by

    def _outlines(self, features: ImageFeatures, b: int, drafts: Tensor, states: Tensor, objects: Tensor) -> Tensor:
        """How far drafts (N, h, w), once drawn finely, are from their objects (N, S, S)."""
        fine = self._generator.fine_masks(drafts, states, features.pyramid[0][b]).float()
        truth = F.interpolate(objects[:, None].float(), fine.shape[-2:], mode="area")[:, 0]
        size = (fine.detach().sigmoid() + truth).flatten(1).sum(1).clamp(min=30)
        wrong = F.binary_cross_entropy_with_logits(fine, truth, reduction="none").flatten(1).sum(1)
        return (dice_loss(fine, truth) + wrong / size).mean()

    def _drift(self, features: ImageFeatures, b: int, truth: Tensor) -> Tensor:
        """How far the drafts of some seeds, most of them on objects, are from what they were."""
        seeds = self._seeds(truth)
        masks, quality, states = self._generator.decode_seeds(features, b, seeds)
        with torch.no_grad():
            masks_before, quality_before, before = self._before.decode_seeds(features, b, seeds)
        scale = before.float().std().clamp(min=1e-6)
        change = ((states.float() - before.float()) / scale).square().mean()
        cells = (seeds * truth.shape[-1] / self._generator.prior_encoder.image_size).long()
        outside = truth[:, cells[:, 0], cells[:, 1]].amax(0) < 0.5
        # The first draft is not made for seeds.
        redrawn = dice_loss(masks[:, 1:].float().flatten(0, 1), (masks_before[:, 1:] > 0).float().flatten(0, 1))
        forgotten = (redrawn.unflatten(0, (len(seeds), -1)) * outside[:, None]).mean()
        return change + F.mse_loss(quality.float(), quality_before.float()) + _KEEP_MASKS * forgotten

    def _seeds(self, truth: Tensor) -> Tensor:
        """Places (N, 2) anywhere in the model image, all but the last moved onto objects while there are enough."""
        (h, w), side = truth.shape[-2:], self._generator.prior_encoder.image_size
        points = torch.rand(_KEPT, 2, device=truth.device) * side
        for i, mask in enumerate(truth[: _KEPT - 1]):
            cells = (mask > 0.5).nonzero()
            if len(cells):
                cell = cells[torch.randint(len(cells), ())]
                points[i] = (cell + 0.5) * side / cells.new_tensor([h, w])
        return points


def _of_second_drafts(second: SecondDrafts, truth: Tensor) -> Tensor:
    """The best second draft of each box, and the mean of all its drafts, learn the objects (N, h, w)."""
    masks, mean = second.masks.float(), second.agreed.float()
    iou = _overlap(masks.detach() > 0, truth > 0.5)
    best = masks[torch.arange(len(masks), device=masks.device), iou.argmax(1)]
    return (mask_loss(best, truth) + mask_loss(mean, truth)).mean() + _estimates(second.quality.float(), iou)


def _estimates(quality: Tensor, iou: Tensor) -> Tensor:
    """Every draft's estimate (N, K) learns its IoU, and the best draft to be chosen."""
    chosen = ((_SHARPNESS * quality).softmax(1) * iou).sum(1)
    return _QUALITY * F.mse_loss(quality, iou) - _CHOICE * chosen.mean()


def mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Dice, and a focal loss relative to the object's size, of masks (N, h, w) with shares of coarse pixels: (N,)."""
    dice = dice_loss(logits, truth)
    logits, truth = logits.flatten(1), truth.flatten(1)
    probability = logits.sigmoid()
    size = probability.sum(1) + truth.sum(1)
    missed = torch.where(truth > 0.5, 1 - probability, probability)
    focal = F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * missed.square()
    return dice + _FOCAL * focal.sum(1) / size.detach().clamp(min=30)


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """One minus the share of the masks (N, h, w) that two have in common: (N,)."""
    probability, truth = logits.flatten(1).sigmoid(), truth.flatten(1)
    return 1 - (2 * (probability * truth).sum(1) + 1) / (probability.sum(1) + truth.sum(1) + 1)


def _overlap(masks: Tensor, truth: Tensor) -> Tensor:
    """IoU (N, K) of masks (N, K, h, w) with (N, h, w)."""
    masks, truth = masks.flatten(2), truth.flatten(1)[:, None]
    return (masks & truth).sum(2) / (masks | truth).sum(2).clamp(min=1)
