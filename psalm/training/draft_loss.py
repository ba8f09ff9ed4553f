"""The loss of the masks that the two-way decoder drafts around visual priors (Segment Anything, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psalm.data.questions import MAX_REGIONS
from psalm.errors import ConfigError
from psalm.modeling.box_agreement import heed_boxes
from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.two_way_generator import SecondDrafts, TwoWayGenerator
from psalm.training.frozen import refresh
from psalm.training.targets import Target

Module = TypeVar("Module", bound=nn.Module)

_FIRST_OF_POINT, _FIRST = 1.0, 0.5  # how much the first draft, the safest guess, learns beside the best one
_FOCAL, _QUALITY, _CHOICE, _KEEP, _KEEP_MASKS = 0.5, 3.0, 0.5, 1.0, 0.5
_SHARPNESS = 20.0  # how decidedly the better estimate is taken to be chosen
_ON_OBJECTS = 2 / 3  # share of the seeds
_ITS_OWN = 0.3  # IoU below which a draft shows another object, whose outline is not known


class DraftLoss:
    """The best draft of each region learns the object's mask, every draft how good it is, and the best to be chosen.

    A click may mean a part or a whole, so its best draft is one of the three that are meant for that; the first is what
    can be said without knowing. The decoder also drafts around seeds: those outside of the labelled objects are held
    where they were when the stage began, or it would forget how to draw what nobody labelled, a vessel, a word on a
    page. What the decoder's states say of all seeds' drafts is held as well, for a language side that has learnt to
    read them. Clicks are the same to the decoder as seeds, and can learn less for it: where the language side learns
    afterwards it may be left out, and where the encoder learns it cannot be.

    A box is drafted twice, and the mean of all its drafts is its mask; the second drafts and the mean learn the object
    as well. The outlines of what would be shown are learnt beside, and change nothing of the drafts.

    Parameters
    ----------
    generator : TwoWayGenerator
    backbone : nn.Module, optional
        Where it learns as well.
    hold_states : bool
        Whether what is said of the seeds' drafts on labelled objects is held too. Not where the backbone learns.
    begun : dict of tensors, optional
        The whole model's weights when the stage began; by default it begins now.
    """

    def __init__(
        self,
        generator: TwoWayGenerator,
        backbone: nn.Module | None = None,
        hold_states: bool = True,
        begun: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._generator = generator
        self._hold_states = hold_states and backbone is None
        self._before = _as_it_was(generator, begun, "mask_generator.")
        self._backbone_before = None if backbone is None else _as_it_was(backbone, begun, "backbone.")

    def __call__(
        self,
        features: ImageFeatures,
        regions: Sequence[Regions],
        targets: Sequence[Target],
        images: Tensor | None = None,
    ) -> Tensor:
        """The mean over the regions of a batch.

        Parameters
        ----------
        features : ImageFeatures
        regions : sequence of Regions
            The visual priors of each image.
        targets : sequence of Target
            The object that each region means; a label is the position of its region.
        images : (B, 3, S, S) tensor, optional
            Needed where the backbone learns.
        """
        question = _Question.of_batch(regions, targets, features.generator["embedding"].device)
        if not len(question.of):
            return features.generator["embedding"].sum() * 0
        asked, of = question.regions, question.of
        masks, quality, states = (x.float() for x in self._generator.decode_regions(features, of, asked))
        truth = F.interpolate(question.objects[:, None].float(), masks.shape[-2:], mode="area")[:, 0]
        loss = _of_drafts(masks, quality, asked, truth)
        of_boxes, drafts, drawn_by = self._shown(features, question, (masks, quality, states), truth)
        loss = loss + of_boxes + self._drift(features, question, truth, images)
        if any(parameter.requires_grad for parameter in self._generator.fine_masks.parameters()):
            own = _overlap(drafts[:, None] > 0, truth > 0.5)[:, 0] > _ITS_OWN
            loss = loss + self._outlines(features, question, drafts, drawn_by, own)
        return loss

    def _shown(
        self, features: ImageFeatures, question: _Question, drafted: tuple[Tensor, Tensor, Tensor], truth: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of the boxes' second drafts; the masks (N, h, w) that would be shown, and their states (N, C)."""
        masks, quality, states = drafted
        heeded = heed_boxes(quality.detach().clamp(0, 1), masks.detach() > 0, question.regions)
        best = torch.arange(len(masks), device=masks.device), heeded.argmax(1)
        shown, drawn_by = masks[best].detach(), states[best].detach()
        second = self._generator.draft_boxes_again(features, question.of, question.regions, masks, heeded)
        if second is None:
            return masks.sum() * 0, shown, drawn_by
        shown = shown.index_put((second.rows,), second.agreed.detach().float())
        drawn_by = drawn_by.index_put((second.rows,), second.state.detach().float())
        return _of_second_drafts(second, truth[second.rows]), shown, drawn_by

    def _outlines(
        self, features: ImageFeatures, question: _Question, drafts: Tensor, states: Tensor, own: Tensor
    ) -> Tensor:
        """How far those drafts (N, h, w) that show their `own` object are from it, once drawn finely."""
        of, objects = question.of, question.objects
        if own.device.type == "cpu":  # a GPU draws all, see `_Question`
            drafts, states, of, objects, own = (x[own] for x in (drafts, states, of, objects, own))
        fine = self._generator.fine_masks(drafts, states, features.pyramid[0], of).float()
        truth = F.interpolate(objects[:, None].float(), fine.shape[-2:], mode="area")[:, 0]
        size = (fine.detach().sigmoid() + truth).flatten(1).sum(1).clamp(min=30)
        wrong = F.binary_cross_entropy_with_logits(fine, truth, reduction="none").flatten(1).sum(1)
        return ((dice_loss(fine, truth) + wrong / size) * own).sum() / own.sum().clamp(min=1)

    def _drift(self, features: ImageFeatures, question: _Question, truth: Tensor, images: Tensor | None) -> Tensor:
        """How far the drafts of a seed in each image, most of them on objects, are from what they were."""
        seeds = question.seeds(truth, self._generator.prior_encoder.image_size)
        of = torch.arange(len(seeds), device=seeds.device)
        masks, quality, states = self._generator.decode_seeds(features, of, seeds)
        with torch.no_grad():
            earlier = self._features_before(features, images)
            masks_before, quality_before, before = self._before.decode_seeds(earlier, of, seeds)
        cells = (seeds * truth.shape[-1] / self._generator.prior_encoder.image_size).long()
        outside = (question.covered(truth)[of, cells[:, 0], cells[:, 1]] < 0.5).float()[:, None]
        # The first draft is not made for seeds.
        redrawn = dice_loss(masks[:, 1:].float().flatten(0, 1), (masks_before[:, 1:] > 0).float().flatten(0, 1))
        forgotten = (redrawn.unflatten(0, (len(seeds), -1)) * outside).mean()
        misjudged = (quality.float() - quality_before.float()).square()
        if not self._hold_states:
            return _KEEP * ((misjudged * outside).mean() + _KEEP_MASKS * forgotten)
        scale = before.float().std().clamp(min=1e-6)
        change = ((states.float() - before.float()) / scale).square().mean()
        return _KEEP * (change + misjudged.mean() + _KEEP_MASKS * forgotten)

    def _features_before(self, features: ImageFeatures, images: Tensor | None) -> ImageFeatures:
        """What the model made of the images when the stage began."""
        if self._backbone_before is None:
            return features
        if images is None:
            raise ConfigError("A stage that trains the backbone needs the images themselves: set cache: false.")
        pyramid = tuple(self._backbone_before(images))
        return ImageFeatures(pyramid, features.image_tokens, self._before.encode(pyramid))


def _as_it_was(module: Module, begun: Mapping[str, Tensor] | None, prefix: str) -> Module:
    """A copy of a part of the model that learns nothing, with its weights among those that the stage began with."""
    copy = deepcopy(module).requires_grad_(False)
    if begun is not None:
        own = {name.removeprefix(prefix): value for name, value in begun.items() if name.startswith(prefix)}
        copy.load_state_dict(own)
    refresh(copy)
    return copy


@dataclass(frozen=True)
class _Question:
    """What is asked of a batch, the images' regions one after the other.

    A GPU prepares anew for every number of prompts, which takes it longer than to answer them: there they are always as
    many, half of them boxes, some of which are asked twice.

    Parameters
    ----------
    regions : Regions
        N of them.
    objects : (N, S, S) tensor of bool
        What each region means.
    of : (N,) tensor
        The image of each.
    counts : tuple of int
        Regions of each image.
    """

    regions: Regions
    objects: Tensor
    of: Tensor
    counts: tuple[int, ...]

    @classmethod
    def of_batch(cls, regions: Sequence[Regions], targets: Sequence[Target], device: torch.device) -> _Question:
        labels = [target.labels.tolist() for target in targets]
        rows = [[(label, row) for row, label in enumerate(each)] for each in labels]
        if device.type != "cpu":
            rows = _filled(rows, [asked.kinds for asked in regions], MAX_REGIONS * len(rows))
        asked = Regions.join(
            [one.select([label for label, _ in each]) for one, each in zip(regions, rows, strict=True)]
        )
        objects = [target.masks[[row for _, row in each]] for target, each in zip(targets, rows, strict=True)]
        counts = tuple(len(each) for each in rows)
        of = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)).to(device)
        return cls(asked, torch.cat(objects), of, counts)

    def covered(self, truth: Tensor) -> Tensor:
        """The part of each image (B, h, w) that is covered by objects (N, h, w)."""
        parts = truth.split(list(self.counts))
        return torch.stack([part.amax(0) if len(part) else truth.new_zeros(truth.shape[1:]) for part in parts])

    def seeds(self, truth: Tensor, side: int) -> Tensor:
        """A place (B, 2) in each image, most of them on one of its objects (N, h, w)."""
        h, w = truth.shape[-2:]
        counts, device = torch.tensor(self.counts), truth.device
        places = torch.rand(len(counts), 2, device=device) * side
        images = ((counts > 0) & (torch.rand(len(counts)) < _ON_OBJECTS)).nonzero()[:, 0]
        if not len(images):
            return places
        objects = (counts.cumsum(0) - counts + (torch.rand(len(counts)) * counts).long())[images]
        inside = (truth[objects.to(device)] > 0.5).flatten(1)
        cell = torch.multinomial(inside + 1e-9, 1)[:, 0]
        on_objects = (torch.stack([cell // w, cell % w], dim=1) + 0.5) * side / truth.new_tensor([h, w])
        images = images.to(device)
        places[images] = torch.where(inside.any(1)[:, None], on_objects, places[images])
        return places


def _filled(
    rows: Sequence[Sequence[tuple[int, int]]], kinds: Sequence[Sequence[str]], count: int
) -> list[list[tuple[int, int]]]:
    """`count` of the (region, object) pairs of some images, half of them boxes where there is one, in their order."""
    places = [(b, pair) for b, each in enumerate(rows) for pair in each]
    boxes = [place for place in places if kinds[place[0]][place[1][0]] == "box"]
    others = [place for place in places if place not in boxes]
    groups = [group for group in (boxes, others) if group]
    chosen = [place for group in groups for place in islice(cycle(group), count // len(groups))]
    return [sorted(pair for b, pair in chosen if b == image) for image in range(len(rows))]


def _of_drafts(masks: Tensor, quality: Tensor, asked: Regions, truth: Tensor) -> Tensor:
    """The best of the drafts (N, K, h, w) and the first one learn the objects (N, h, w), and all how good they are."""
    iou = _overlap(masks.detach() > 0, truth > 0.5)
    is_point = torch.tensor([kind == "point" for kind in asked.kinds], device=iou.device)
    allowed = iou.clone()
    allowed[:, 0] = torch.where(is_point, -1.0, iou[:, 0])
    chosen = masks[torch.arange(len(masks), device=masks.device), allowed.argmax(1)]
    first = torch.where(is_point, _FIRST_OF_POINT, _FIRST) * mask_loss(masks[:, 0], truth)
    return (mask_loss(chosen, truth) + first).mean() + _estimates(quality, iou)


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
