"""A recorded training step: losses, matches, gradients and running statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from psalm.modeling.official_checkpoint import rename_official
from psalm.parity.cases import case_images
from psalm.parity.findings import Finding, Findings
from psalm.parity.golden import GoldenFolder
from psalm.parity.gradients import compare_gradients
from psalm.parity.recorded_prompts import COLUMN, recorded_points, recorded_prompts, recorded_regions
from psalm.parity.stages import compare_language, compare_layers
from psalm.parity.watch import watching
from psalm.prompts import ConditionKind
from psalm.training.config import CriterionConfig
from psalm.training.criterion import Criterion, Losses
from psalm.training.points import PointSampler
from psalm.training.targets import Target


class RecordedPoints(PointSampler):
    """Gives the points that the published code drew, layer after layer."""

    def __init__(self, tensors: Mapping[str, Tensor], layers: Sequence[str], targets: Sequence[Target]) -> None:
        super().__init__()
        matched = [b for b, target in enumerate(targets) if len(target)]
        self._matcher = iter([tensors[f"matcher_points_xy_{layer}_{b}"] for layer in layers for b in matched])
        self._loss = iter([tensors[f"loss_points_xy_{layer}"] for layer in layers])

    def uniform(self, like: Tensor) -> Tensor:
        """The matcher's points of the next image."""
        return next(self._matcher).flip(-1)

    def uncertain(self, logits: Tensor) -> Tensor:
        """The loss's points of the next layer."""
        return next(self._loss).flip(-1)


def compare_training(name: str, facts: dict[str, Any], folder: GoldenFolder) -> list[Finding]:
    """All stages, losses, matches and gradients of one training step on a batch of segmentation.

    Parameters
    ----------
    name : str
    facts : dict
        Its entry in ``train.json``.
    folder : GoldenFolder
    """
    findings, tensors, model = Findings(name), folder.tensors(f"train/{name}.safetensors"), folder.model()
    model.train()
    features = model.encode_image(case_images(facts, tensors, folder))
    prompts = recorded_prompts(tensors)
    kind = prompts[0].kind
    model.points = recorded_points(tensors, len(prompts))
    with watching(model) as seen:
        layers = model.propose(features, prompts, recorded_regions(tensors, prompts))
    compare_language(findings, model, seen, tensors, prompts)
    compare_layers(findings, layers, tensors, kind)

    order = [layer for layer in facts["layer_order"] if layer != "final"] + ["final"]
    targets = _targets(tensors, kind, len(prompts))
    criterion = Criterion(_criterion_config(facts, folder), RecordedPoints(tensors, order, targets))
    losses = criterion(layers, targets, kind)
    losses.total.backward()
    _compare_losses(findings, losses, facts, order, kind)
    compare_gradients(findings, model, facts, tensors)
    buffers = model.state_dict()
    for key, theirs in tensors.items():
        if key.startswith("bn_after."):
            ours = rename_official(key.removeprefix("bn_after."))[0]
            findings.numbers(f"running statistics, {ours}", buffers[ours], theirs)
    return findings.rows


def _targets(tensors: Mapping[str, Tensor], kind: ConditionKind, count: int) -> list[Target]:
    """The truth of each image; the j-th mask answers the j-th region, and every mask answers the one sentence."""
    targets = []
    for b in range(count):
        labels = tensors[f"target_labels_{b}"].long()
        if kind == "sentence":
            labels = torch.zeros_like(labels)
        elif kind == "regions":
            labels = torch.arange(len(labels))
        targets.append(Target(tensors[f"target_masks_{b}"].bool(), labels))
    return targets


def _criterion_config(facts: Mapping[str, Any], folder: GoldenFolder) -> CriterionConfig:
    weights = facts["weight_dict"]
    return CriterionConfig(
        num_points=folder.num_points,
        mask_weight=weights["loss_mask"],
        dice_weight=weights["loss_dice"],
        condition_weight=weights["loss_class_name_class"],
    )


def _compare_losses(
    findings: Findings, losses: Losses, facts: Mapping[str, Any], order: Sequence[str], kind: ConditionKind
) -> None:
    terms = {"mask": "mask", "dice": "dice", "condition": f"{COLUMN[kind]}_class"}
    sums = dict.fromkeys(terms, 0.0)
    wrong = 0
    for layer, measured, matches in zip(order, losses.layers, losses.matches, strict=True):
        suffix = "" if layer == "final" else f"_{layer.removeprefix('aux')}"
        for ours, theirs in terms.items():
            value = measured[ours].item()
            sums[ours] += value * facts["weight_dict"][f"loss_{theirs}{suffix}"]
            findings.numbers(f"loss {ours}, {layer}", value, facts["unweighted"][f"loss_{theirs}{suffix}"])
        for match, recorded in zip(matches, facts["match"][layer], strict=True):
            wrong += [match.queries.tolist(), match.targets.tolist()] != recorded
    findings.count("matches", wrong, "images")
    for ours, theirs in terms.items():
        findings.relative(f"loss {ours}, all layers", _relative(sums[ours], facts["summed"][f"loss_{theirs}"]))
    findings.relative("loss", _relative(losses.total.item(), facts["loss"]))


def _relative(ours: float, theirs: float) -> float:
    return abs(ours - theirs) / max(abs(theirs), 1e-6)
