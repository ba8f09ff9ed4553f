"""The training loss (PSALM, section 3.3): masks, and how well each proposal meets each condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from psalm.modeling.features import ConditionKind
from psalm.modeling.upload import upload
from psalm.proposals import MaskProposals
from psalm.training.answers import Answers
from psalm.training.config import CriterionConfig
from psalm.training.matcher import FOREIGN, Match, match_proposals, real_conditions
from psalm.training.points import PointSampler, sample_at
from psalm.training.targets import Target


@dataclass(frozen=True)
class Losses:
    """The loss of one batch.

    Parameters
    ----------
    total : () tensor
        Weighted sum over terms and layers; carries the gradient.
    layers : list of dict of () tensor
        Unweighted terms ``mask``, ``dice`` and ``condition`` per layer, in the order of the proposals (final last).
    partners : list of (B, Q) array
        Per layer, the target that each proposal stands for, -1 for none.
    """

    total: Tensor
    layers: list[dict[str, Tensor]]
    partners: list[NDArray[np.int64]] = field(repr=False)

    @property
    def final(self) -> dict[str, float]:
        """Terms of the final layer as numbers."""
        terms = self.layers[-1]
        return dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))

    @property
    def matches(self) -> list[list[Match]]:
        """Pairs per layer and image."""
        return [[Match.of(image) for image in layer] for layer in self.partners]


class Criterion:
    """Losses of all layers, each matched on its own.

    Parameters
    ----------
    config : CriterionConfig
    points : PointSampler, optional
        Where masks are compared; drawn as the config says when not given.
    """

    def __init__(self, config: CriterionConfig | None = None, points: PointSampler | None = None) -> None:
        self.config = config or CriterionConfig()
        self.points = points or PointSampler(self.config.num_points, self.config.oversample, self.config.importance)

    def __call__(self, layers: Sequence[MaskProposals], targets: Sequence[Target], kind: ConditionKind) -> Losses:
        """Measure the proposals of a batch.

        Parameters
        ----------
        layers : sequence of MaskProposals
            Auxiliary predictions first, the final one last; all count alike (deep supervision).
        targets : sequence of Target
            One per image of the batch.
        kind : {"categories", "sentence", "regions"}
        """
        answers = Answers.of(targets, layers[-1].condition_logits.device)
        measured = [self._layer(proposals, answers, kind) for proposals in layers]
        terms = [layer for layer, _ in measured]
        total = torch.stack([self._weighted(layer) for layer in terms]).sum()
        return Losses(total, terms, [partners for _, partners in measured])

    @property
    def active(self) -> bool:
        """Whether any term has a weight."""
        return self.config.active

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        weights = {
            "mask": self.config.mask_weight,
            "dice": self.config.dice_weight,
            "condition": self.config.condition_weight,
        }
        return torch.stack([weights[name] * value for name, value in terms.items()]).sum()

    def _layer(
        self, proposals: MaskProposals, answers: Answers, kind: ConditionKind
    ) -> tuple[dict[str, Tensor], NDArray[np.int64]]:
        config, overlap = self.config, None
        if config.match_on == "iou" or config.min_match_iou > 0 or config.extra_positives_iou > 0:
            overlap = answers.overlap(proposals.mask_logits)
        partners = match_proposals(proposals, answers, config, self.points, kind == "categories", overlap)
        lesson = self._lesson(upload(partners, answers.labels.device), answers, overlap, kind)
        terms = self._mask_terms(proposals, answers.targets, partners) if config.mask_loss else {}
        if kind == "categories":
            terms["condition"] = category_loss(proposals, lesson, config.background_weight)
        else:
            terms["condition"] = binary_loss(proposals, lesson)
        if kind == "sentence" and config.choice:
            choice = choice_loss(proposals, lesson)
            terms["condition"] = (1 - config.choice) * terms["condition"] + config.choice * choice
        return terms, partners

    @torch.no_grad()
    def _lesson(self, partners: Tensor, answers: Answers, overlap: Tensor | None, kind: ConditionKind) -> Lesson:
        """What pairs that are good enough teach the condition, given the partners (B, Q) and IoU (B, Q, N) of all.

        Every proposal that is not in such a pair is background, unless the image is not exhaustive or it overlaps an
        object so well that calling it background would be wrong.
        """
        least, most = self.config.min_match_iou, self.config.extra_positives_iou
        positive, partners = partners >= 0, partners.clamp(min=0)
        live = answers.exhaustive | (kind == "regions")
        if overlap is not None:
            positive = positive & (overlap.gather(2, partners[..., None])[..., 0] >= least)
            if most > 0:
                live = live & (overlap.amax(2) <= most)
        return Lesson(positive, answers.labels.gather(1, partners), live | positive)

    def _mask_terms(
        self, proposals: MaskProposals, targets: Sequence[Target], partners: NDArray[np.int64]
    ) -> dict[str, Tensor]:
        """Binary cross entropy and dice of the matched masks, summed and divided by the number of targets."""
        counts = np.array([len(target) for target in targets])
        images, queries = np.nonzero(partners >= 0)
        if not len(images):
            nothing = proposals.mask_logits.float().sum() * 0
            return {"mask": nothing, "dice": nothing}
        device = proposals.mask_logits.device
        proposed = proposals.mask_logits[upload(images, device), upload(queries, device)].float()
        chosen = partners[images, queries] + (np.cumsum(counts) - counts)[images]
        truth = torch.cat([target.masks for target in targets])[upload(chosen, device)]
        where = self.points.uncertain(proposed)
        wanted = sample_at(truth.float(), where)
        logits = sample_at(proposed, where)
        entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)
        probability = logits.sigmoid()
        shared = 2 * (probability * wanted).sum(1)
        dice = 1 - (shared + 1) / (probability.sum(1) + wanted.sum(1) + 1)
        return {"mask": entropy.sum() / counts.sum(), "dice": dice.sum() / counts.sum()}


@dataclass(frozen=True)
class Lesson:
    """What the proposals of a batch teach the conditions.

    Parameters
    ----------
    positive : (B, Q) tensor of bool
        Proposals that stand for a target.
    labels : (B, Q) tensor of int
        The condition that it answers, where they do.
    live : (B, Q) tensor of bool
        Proposals that count: the positive ones, and those that are background.
    """

    positive: Tensor
    labels: Tensor
    live: Tensor


def category_loss(proposals: MaskProposals, lesson: Lesson, background_weight: float) -> Tensor:
    """Cross entropy over the names and the background of each image; unmatched proposals are background."""
    logits = real_conditions(proposals.condition_logits.float(), proposals.num_conditions)
    background = upload(proposals.num_conditions, logits.device)[:, None] - 1
    wanted = torch.where(lesson.positive, lesson.labels, background)
    weight = torch.where(wanted == background, background_weight, 1.0) * lesson.live
    loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    return (loss * weight.flatten()).sum() / weight.sum().clamp(min=1e-6)


def binary_loss(proposals: MaskProposals, lesson: Lesson) -> Tensor:
    """Binary cross entropy of every proposal with every sentence or region of its image.

    Positives weigh as much as all others together. Pairs of a proposal with a foreign region do not count.
    """
    logits = proposals.condition_logits.float()
    kept = (real_conditions(logits, proposals.num_conditions) > FOREIGN) & lesson.live[..., None]
    truth = torch.zeros_like(logits).scatter(2, lesson.labels[..., None], lesson.positive[..., None].float())
    positives, count = (truth * kept).sum().clamp(min=1), kept.sum().clamp(min=1)
    weight = ((count - positives) / positives).clamp(min=1)
    losses = F.binary_cross_entropy_with_logits(
        logits.masked_fill(~kept, 0), truth, reduction="none", pos_weight=weight
    )
    return (losses * kept).sum() / count


def choice_loss(proposals: MaskProposals, lesson: Lesson) -> Tensor:
    """Cross entropy over the proposals of each image: the sentence chooses among them.

    "The leftmost" is said of one among others; an absolute score for each is a much harder lesson. Images whose
    sentence has no answer do not count.
    """
    there = lesson.live
    if proposals.quality is not None:  # places of a batch that hold no mask have none
        there = there & (proposals.quality > 0) | lesson.positive
    chosen = proposals.condition_logits[..., 0].float().masked_fill(~there, FOREIGN).log_softmax(1)
    positives = lesson.positive.sum(1)
    losses = -(chosen * lesson.positive).sum(1) / positives.clamp(min=1)
    return losses.sum() / (positives > 0).sum().clamp(min=1)
