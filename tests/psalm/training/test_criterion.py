"""The criterion equals the official one, and its options do what they say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from psalm.proposals import MaskProposals
from psalm.training.config import CriterionConfig
from psalm.training.criterion import Criterion
from psalm.training.points import PointSampler, sample_at
from psalm.training.targets import Target, mask_iou

LAYERS = ("aux0", "aux1", "aux2", "aux3", "final")


class RecordedPoints(PointSampler):
    """Gives the points that the official run drew, layer after layer."""

    def __init__(self, tensors, images):
        super().__init__(112)
        self.matcher = [tensors[f"matcher_points_xy_{layer}_{b}"] for layer in LAYERS for b in range(images)]
        self.loss = [tensors[f"loss_points_xy_{layer}"] for layer in LAYERS]

    def uniform(self, like):
        return self.matcher.pop(0).flip(-1)

    def uncertain(self, logits):
        return self.loss.pop(0).flip(-1)


@pytest.mark.parametrize("case", ["train_panoptic", "train_referring"])
def test_losses_and_matches_equal_the_official_ones(golden, case):
    facts = json.loads(golden("train.json").read_text())[case]
    tensors = load_file(golden(f"train/{case}.safetensors"))
    kind, column = {"train_panoptic": ("categories", "class_name"), "train_referring": ("sentence", "SEG")}[case]
    layers = []
    for layer in LAYERS:
        prefix = "" if layer == "final" else f"{layer}_"
        logits = tensors[f"{prefix}pred_{column}_logits"]
        layers.append(MaskProposals(tensors[f"{prefix}pred_masks"], logits, (logits.shape[-1],) * len(logits)))
    targets = [Target(tensors[f"target_masks_{b}"].bool(), tensors[f"target_labels_{b}"]) for b in range(2)]

    losses = Criterion(CriterionConfig(num_points=112), RecordedPoints(tensors, 2))(layers, targets, kind)

    assert losses.total.item() == pytest.approx(facts["loss"], rel=1e-4)
    for layer, terms, matches in zip(LAYERS, losses.layers, losses.matches, strict=True):
        suffix = "" if layer == "final" else f"_{layer[3:]}"
        for ours, theirs in (("mask", "mask"), ("dice", "dice"), ("condition", f"{column}_class")):
            expected = facts["unweighted"][f"loss_{theirs}{suffix}"]
            assert terms[ours].item() == pytest.approx(expected, abs=1e-4, rel=1e-4)
        assert [[m.queries.tolist(), m.targets.tolist()] for m in matches] == facts["match"][layer]


def square(row, column, side=8, size=64):
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[row : row + side, column : column + side] = True
    return mask


def logits_of(*masks):
    """Confident mask logits at a quarter of the size."""
    return torch.stack([mask[::4, ::4].float() * 20 - 10 for mask in masks])[None]


def proposals(masks, conditions, count=None):
    conditions = torch.as_tensor(conditions, dtype=torch.float32)[None]
    return MaskProposals(masks, conditions, (count or conditions.shape[-1],))


CONFIG = CriterionConfig(num_points=256)
ONE, TWO, FAR = square(0, 0), square(16, 16), square(48, 48)


def test_perfect_answer_has_almost_no_loss():
    layer = proposals(logits_of(ONE, TWO, FAR), [[20, -20, -20], [-20, 20, -20], [-20, -20, 20]])
    target = Target(torch.stack([TWO, ONE]), torch.tensor([1, 0]))
    losses = Criterion(CONFIG)([layer], [target], "categories")
    assert losses.final["condition"] < 1e-6
    assert losses.final["mask"] < 0.1
    assert losses.matches[0][0].queries.tolist() == [0, 1]
    assert losses.matches[0][0].targets.tolist() == [1, 0]


def test_padded_columns_do_not_count():
    target = Target(ONE[None], torch.tensor([0]))
    wide = proposals(logits_of(ONE, FAR), [[1.0, 0.0, 9.0, 9.0], [0.0, 1.0, 9.0, 9.0]], count=2)
    narrow = proposals(logits_of(ONE, FAR), [[1.0, 0.0], [0.0, 1.0]])
    first, second = (Criterion(CONFIG)([layer], [target], "categories").final["condition"] for layer in (wide, narrow))
    assert first == pytest.approx(second)


@pytest.mark.parametrize("kind", ["categories", "sentence"])
def test_unmatched_proposals_of_a_non_exhaustive_image_teach_nothing(kind):
    conditions = [[5.0, 0.0], [5.0, 0.0]] if kind == "categories" else [[5.0], [5.0]]
    layer = proposals(logits_of(ONE, FAR), conditions)
    layer.condition_logits.requires_grad_()
    target = Target(ONE[None], torch.tensor([0]), exhaustive=False)
    losses = Criterion(CONFIG)([layer], [target], kind)
    losses.layers[-1]["condition"].backward()
    assert layer.condition_logits.grad[0, 0].abs().sum() > 0
    assert layer.condition_logits.grad[0, 1].abs().sum() == 0


def test_a_proposal_never_answers_a_foreign_region():
    never = float("-inf")
    layer = proposals(logits_of(ONE, TWO, TWO), [[0.0, never], [1.0, never], [never, 0.0]])
    layer.condition_logits.requires_grad_()
    target = Target(torch.stack([TWO, ONE]), torch.tensor([0, 1]))
    losses = Criterion(CONFIG)([layer], [target], "regions")
    losses.total.backward()
    match = losses.matches[0][0]
    assert dict(zip(match.queries.tolist(), match.targets.tolist(), strict=True)) == {1: 0, 2: 1}
    assert torch.isfinite(losses.total) and torch.isfinite(layer.condition_logits.grad).all()


@pytest.mark.parametrize("kind", ["categories", "sentence", "regions"])
def test_an_image_without_objects_gives_a_finite_loss(kind):
    layer = proposals(logits_of(ONE, TWO), [[1.0, 0.0], [0.0, 1.0]])
    target = Target(torch.zeros(0, 64, 64, dtype=torch.bool), torch.zeros(0, dtype=torch.long))
    for config in (CONFIG, CriterionConfig(match_on="iou", mask_loss=False, min_match_iou=0.5)):
        assert torch.isfinite(Criterion(config)([layer], [target], kind).total)


def test_frozen_masks_train_the_condition_alone():
    layer = proposals(logits_of(ONE, TWO), [[1.0, 0.0], [0.0, 1.0]])
    target = Target(ONE[None], torch.tensor([0]))
    losses = Criterion(CriterionConfig(mask_loss=False, match_on="iou"))([layer], [target], "categories")
    assert set(losses.final) == {"condition"}
    assert losses.total == pytest.approx(2 * losses.final["condition"])


def test_a_poor_match_is_background():
    layer = proposals(logits_of(square(4, 4), FAR), [[0.0, 9.0], [0.0, 9.0]])
    target = Target(ONE[None], torch.tensor([0]))
    strict = CriterionConfig(match_on="iou", mask_loss=False, min_match_iou=0.5)
    assert Criterion(strict)([layer], [target], "categories").final["condition"] < 1e-3
    assert Criterion(CriterionConfig(match_on="iou"))([layer], [target], "categories").final["condition"] > 1


def test_a_second_proposal_of_the_same_object_is_ignored_on_request():
    layer = proposals(logits_of(ONE, ONE, FAR), [[9.0], [9.0], [-9.0]])
    target = Target(ONE[None], torch.tensor([0]))
    config = CriterionConfig(match_on="iou", mask_loss=False)
    assert Criterion(config)([layer], [target], "sentence").final["condition"] > 1
    kind = CriterionConfig(match_on="iou", mask_loss=False, extra_positives_iou=0.7)
    assert Criterion(kind)([layer], [target], "sentence").final["condition"] < 1e-3


def test_iou_of_a_tiny_object_is_not_lost():
    tiny = square(4, 4, side=2)
    proposed = torch.full((1, 16, 16), -10.0)
    proposed[0, 1, 1] = 10
    assert mask_iou(proposed, tiny[None]).item() == pytest.approx(0.25)


def test_points_are_row_column_and_uncertain_ones_lie_on_the_edge():
    maps = torch.zeros(1, 4, 8)
    maps[0, 3, 0] = 1
    assert sample_at(maps, torch.tensor([[[0.875, 0.0625]]])).item() == pytest.approx(1)
    torch.manual_seed(0)
    ramp = torch.linspace(-10, 10, 64)[None, :, None].expand(1, 64, 64)
    points = PointSampler(100, importance=1.0).uncertain(ramp)
    assert (points[..., 0] - 0.5).abs().max() < 0.25


def test_a_sentence_chooses_among_the_proposals():
    masks = torch.stack([square(0, 0), square(0, 30), square(40, 0), torch.zeros(64, 64, dtype=torch.bool)])
    target = Target(square(0, 30)[None], torch.tensor([0]))
    config = CriterionConfig(mask_loss=False, match_on="iou", min_match_iou=0.5, choice=1.0)

    def loss(*logits, quality=(1, 1, 1, 0)):
        proposals = MaskProposals(
            masks[None].float() * 20 - 10, torch.tensor(logits)[None, :, None], (1,), torch.tensor(quality)[None]
        )
        return Criterion(config)([proposals], [target], "sentence").total.item() / config.condition_weight

    # Cross entropy over the three real places, whatever the empty one says and wherever zero is.
    expected = -torch.tensor([0.0, 2.0, -1.0]).log_softmax(0)[1].item()
    assert loss(0.0, 2.0, -1.0, 9.0) == pytest.approx(expected, abs=1e-5)
    assert loss(50.0, 52.0, 49.0, 9.0) == pytest.approx(expected, abs=1e-5)
    assert loss(0.0, 8.0, 0.0, 0.0) < 0.01 < 1 < loss(8.0, 0.0, 0.0, 0.0)


def test_a_sentence_without_an_answer_makes_no_choice():
    config = CriterionConfig(mask_loss=False, match_on="iou", choice=1.0)
    proposals = MaskProposals(torch.ones(1, 2, 8, 8), torch.zeros(1, 2, 1, requires_grad=True), (1,))
    total = Criterion(config)(
        [proposals], [Target(torch.zeros(0, 8, 8).bool(), torch.zeros(0).long())], "sentence"
    ).total
    assert total.item() == 0 and total.requires_grad


KNOWN = CriterionConfig(mask_loss=False, match_on="iou", min_match_iou=0.3, extra_positives_iou=0.4)


def described(objects, seed=0):
    """Proposals and targets of images with so many objects, whose overlaps are known; what pads would win, if it could.

    The overlaps lie on both sides of what counts, and the images have 2, 3, ... conditions.
    """
    torch.manual_seed(seed)
    counts = tuple(range(2, len(objects) + 2))
    logits = torch.randn(len(objects), 6, max(counts))
    for row, count in zip(logits, counts, strict=True):
        row[:, count:] = 50.0
    targets = [
        Target(torch.zeros(n, 0, 0).bool(), torch.randint(0, count - 1, (n,)), bool(b % 3), torch.rand(6, n))
        for b, (n, count) in enumerate(zip(objects, counts, strict=True))
    ]
    quality = (torch.rand(len(objects), 6) - 0.2).clamp(min=0)
    return MaskProposals(torch.zeros(len(objects), 6, 1, 1), logits.requires_grad_(), counts, quality), targets


def alone(proposals, b):
    one = slice(b, b + 1)
    logits, count = proposals.condition_logits[one], proposals.num_conditions[b]
    return MaskProposals(proposals.mask_logits[one], logits[..., :count], (count,), proposals.quality[one])


def pairs(matches):
    return [(m.queries.tolist(), m.targets.tolist()) for m in matches]


def image_by_image(proposals, targets, matches, kind):
    """The loss of the conditions, written without any padding."""
    losses, weights, truths, flat = [], [], [], []
    for logits, count, target, match in zip(
        proposals.condition_logits, proposals.num_conditions, targets, matches, strict=True
    ):
        good = target.known[match.queries, match.targets] >= KNOWN.min_match_iou
        queries, labels = match.queries[good], target.labels[match.targets[good]]
        live = torch.full((6,), target.exhaustive or kind == "regions")
        if len(target):
            live &= target.known.amax(1) <= KNOWN.extra_positives_iou
        live[queries] = True
        wanted = torch.full((6,), count - 1).index_put((queries,), labels)
        weight = torch.where(wanted == count - 1, KNOWN.background_weight, 1.0) * live
        losses.append(torch.nn.functional.cross_entropy(logits[:, :count], wanted, reduction="none") * weight)
        weights.append(weight)
        truths.append(torch.zeros(6, count).index_put((queries, labels), torch.ones(()))[live].flatten())
        flat.append(logits[live, :count].flatten())
    if kind == "categories":
        return torch.cat(losses).sum() / torch.cat(weights).sum()
    truth = torch.cat(truths)
    weight = ((len(truth) - truth.sum()) / truth.sum()).clamp(min=1)
    return torch.nn.functional.binary_cross_entropy_with_logits(torch.cat(flat), truth, pos_weight=weight)


@pytest.mark.parametrize("kind", ["categories", "sentence", "regions"])
def test_a_batch_is_measured_as_its_images_are_one_by_one(kind):
    proposals, targets = described([3, 0, 1, 8, 2])
    losses = Criterion(KNOWN)([proposals], targets, kind)
    for b, target in enumerate(targets):
        single = Criterion(KNOWN)([alone(proposals, b)], [target], kind)
        assert pairs(single.matches[0]) == pairs(losses.matches[0][b : b + 1])
    expected = image_by_image(proposals, targets, losses.matches[0], kind)
    assert losses.final["condition"] == pytest.approx(expected.item(), rel=1e-5)
    (theirs,) = torch.autograd.grad(expected, proposals.condition_logits)
    (ours,) = torch.autograd.grad(losses.layers[0]["condition"], proposals.condition_logits)
    torch.testing.assert_close(ours, theirs)
    assert ours.abs().sum() > 0


def test_the_choices_of_a_batch_count_alike():
    proposals, targets = described([1, 0, 1, 1, 1], seed=2)
    targets = [replace(target, exhaustive=True) for target in targets]  # so that each choice is among several
    config = CriterionConfig(mask_loss=False, match_on="iou", min_match_iou=0.3, choice=1.0)
    together = Criterion(config)([proposals], targets, "sentence").final["condition"]
    one_by_one = [
        Criterion(config)([alone(proposals, b)], [target], "sentence").final["condition"]
        for b, target in enumerate(targets)
    ]
    answered = [loss for loss in one_by_one if loss > 0]
    assert 1 < len(answered) < 5
    assert together == pytest.approx(sum(answered) / len(answered), rel=1e-5)
