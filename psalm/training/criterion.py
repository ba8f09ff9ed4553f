"""The training loss (PSALM, section 3.3): masks, and how well each proposal meets each condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from psalm.modeling.features import ConditionKind
from psalm.proposals import MaskProposals
from psalm.training.config import CriterionConfig
from psalm.training.matcher import FOREIGN, Match, match_proposals
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
    matches : list of list of Match
        Pairs per layer and image.
    """

    total: Tensor
    layers: list[dict[str, Tensor]]
    matches: list[list[Match]] = field(repr=False)

    @property
    def final(self) -> dict[str, float]:
        """Terms of the final layer as numbers."""
        return {name: float(value.detach()) for name, value in self.layers[-1].items()}


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
        measured = [self._layer(proposals, targets, kind) for proposals in layers]
        terms = [layer for layer, _ in measured]
        total = torch.stack([self._weighted(layer) for layer in terms]).sum()
        return Losses(total, terms, [matches for _, matches in measured])

    @property
    def active(self) -> bool:
        """Whether any term has a weight."""
        masks = self.config.mask_loss and (self.config.mask_weight > 0 or self.config.dice_weight > 0)
        return masks or self.config.condition_weight > 0

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        weights = {
            "mask": self.config.mask_weight,
            "dice": self.config.dice_weight,
            "condition": self.config.condition_weight,
        }
        return torch.stack([weights[name] * value for name, value in terms.items()]).sum()

    def _layer(
        self, proposals: MaskProposals, targets: Sequence[Target], kind: ConditionKind
    ) -> tuple[dict[str, Tensor], list[Match]]:
        pairs, taught, live = [], [], []
        for masks, logits, count, target in zip(
            proposals.mask_logits, proposals.condition_logits, proposals.num_conditions, targets, strict=True
        ):
            match = match_proposals(
                masks, logits[:, :count], target, self.config, self.points, categories=kind == "categories"
            )
            certain, alive = self._evidence(masks, target, match, counted=target.exhaustive or kind == "regions")
            pairs.append(match)
            taught.append(certain)
            live.append(alive)
        terms = self._mask_terms(proposals, targets, pairs) if self.config.mask_loss else {}
        measure = category_loss if kind == "categories" else binary_loss
        terms["condition"] = measure(proposals, targets, taught, live, self.config)
        if kind == "sentence" and self.config.choice:
            choice = choice_loss(proposals, taught, live)
            terms["condition"] = (1 - self.config.choice) * terms["condition"] + self.config.choice * choice
        return terms, pairs

    @torch.no_grad()
    def _evidence(self, masks: Tensor, target: Target, match: Match, counted: bool) -> tuple[Match, Tensor]:
        """Pairs that are good enough to teach the condition, and a (Q,) mask of the proposals that teach at all.

        Every proposal that is not in such a pair is background, unless the image is not exhaustive (`counted` is
        False) or it overlaps an object so well that calling it background would be wrong.
        """
        least, most = self.config.min_match_iou, self.config.extra_positives_iou
        alive = torch.full((len(masks),), counted, device=masks.device)
        if len(target) and (least > 0 or most > 0):
            overlap = target.iou(masks)
            match = match.select(overlap[match.queries, match.targets] >= least)
            if most > 0:
                alive &= overlap.max(1).values <= most
        alive[match.queries] = True
        return match, alive

    def _mask_terms(
        self, proposals: MaskProposals, targets: Sequence[Target], matches: Sequence[Match]
    ) -> dict[str, Tensor]:
        """Binary cross entropy and dice of the matched masks, summed and divided by the number of targets."""
        count = max(sum(len(target) for target in targets), 1)
        proposed = torch.cat(
            [masks[match.queries] for masks, match in zip(proposals.mask_logits, matches, strict=True)]
        ).float()
        truth = torch.cat([target.masks[match.targets] for target, match in zip(targets, matches, strict=True)])
        if not len(proposed):
            nothing = proposals.mask_logits.float().sum() * 0
            return {"mask": nothing, "dice": nothing}
        where = self.points.uncertain(proposed)
        wanted = sample_at(truth.float(), where)
        logits = sample_at(proposed, where)
        entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)
        probability = logits.sigmoid()
        shared = 2 * (probability * wanted).sum(1)
        dice = 1 - (shared + 1) / (probability.sum(1) + wanted.sum(1) + 1)
        return {"mask": entropy.sum() / count, "dice": dice.sum() / count}


def category_loss(
    proposals: MaskProposals,
    targets: Sequence[Target],
    matches: Sequence[Match],
    live: Sequence[Tensor],
    config: CriterionConfig,
) -> Tensor:
    """Cross entropy over the names and the background of each image; unmatched proposals are background.

    Parameters
    ----------
    live : sequence of (Q,) tensor of bool
        Proposals that count, per image.
    """
    losses, weights = [], []
    for logits, count, target, match, alive in zip(
        proposals.condition_logits, proposals.num_conditions, targets, matches, live, strict=True
    ):
        wanted = torch.full((len(logits),), count - 1, device=logits.device)
        wanted[match.queries] = target.labels[match.targets]
        weight = torch.where(wanted == count - 1, config.background_weight, 1.0) * alive
        losses.append(F.cross_entropy(logits[:, :count].float(), wanted, reduction="none") * weight)
        weights.append(weight)
    return torch.cat(losses).sum() / torch.cat(weights).sum().clamp(min=1e-6)


def binary_loss(
    proposals: MaskProposals,
    targets: Sequence[Target],
    matches: Sequence[Match],
    live: Sequence[Tensor],
    config: CriterionConfig,
) -> Tensor:
    """Binary cross entropy of every proposal with every sentence or region of its image.

    Positives weigh as much as all others together. Pairs of a proposal with a foreign region do not count.
    """
    logits, wanted = [], []
    for row, count, target, match, alive in zip(
        proposals.condition_logits, proposals.num_conditions, targets, matches, live, strict=True
    ):
        truth = torch.zeros_like(row[:, :count], dtype=torch.float32)
        truth[match.queries, target.labels[match.targets]] = 1
        kept = (row[:, :count] > FOREIGN) & alive[:, None]
        logits.append(row[:, :count][kept].float())
        wanted.append(truth[kept])
    flat, truth = torch.cat(logits), torch.cat(wanted)
    if not len(flat):
        return proposals.condition_logits.float().clamp(min=FOREIGN).sum() * 0
    positives = truth.sum().clamp(min=1)
    weight = ((len(flat) - positives) / positives).clamp(min=1)
    return F.binary_cross_entropy_with_logits(flat, truth, pos_weight=weight)


def choice_loss(proposals: MaskProposals, matches: Sequence[Match], live: Sequence[Tensor]) -> Tensor:
    """Cross entropy over the proposals of each image: the sentence chooses among them.

    "The leftmost" is said of one among others; an absolute score for each is a much harder lesson. Images whose
    sentence has no answer do not count.
    """
    losses = []
    for number, (logits, match, alive) in enumerate(zip(proposals.condition_logits, matches, live, strict=True)):
        if not len(match):
            continue
        # Places of a batch that hold no mask have no quality.
        there = alive if proposals.quality is None else alive & (proposals.quality[number] > 0)
        there = there.index_fill(0, match.queries, True)
        chosen = logits[:, 0].float().masked_fill(~there, FOREIGN).log_softmax(0)
        losses.append(-chosen[match.queries].mean())
    return torch.stack(losses).mean() if losses else proposals.condition_logits.float().sum() * 0
