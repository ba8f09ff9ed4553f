"""Drafts around visual priors learn their objects, and what seeds' drafts say stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from psalm.errors import ConfigError
from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.training.draft_loss import DraftLoss, _filled, _Question, mask_loss
from psalm.training.targets import Target
from tests.psalm.modeling.builders import two_way_config

CHANNELS = (6, 8, 10, 12)


@pytest.fixture
def generator() -> TwoWayGenerator:
    torch.manual_seed(0)
    return TwoWayGenerator(two_way_config(), CHANNELS).eval()


@pytest.fixture
def image(generator: TwoWayGenerator) -> ImageFeatures:
    torch.manual_seed(3)
    pyramid = tuple(torch.randn(1, c, 96 // s, 96 // s) for c, s in zip(CHANNELS, (4, 8, 16, 16), strict=True))
    with torch.no_grad():
        return ImageFeatures(pyramid, torch.zeros(1, 1, 1), generator.encode(pyramid))


def question() -> tuple[Regions, Target]:
    """A box and a click, each for an object of its own; the objects stand in another order."""
    regions, objects = torch.zeros(2, 96, 96, dtype=torch.bool), torch.zeros(2, 96, 96, dtype=torch.bool)
    regions[0, 8:40, 8:40], regions[1, 68:72, 68:72] = True, True
    objects[1, 8:40, 8:40], objects[0, 56:84, 56:84] = True, True
    return Regions(regions, ("box", "point")), Target(objects, torch.tensor([1, 0]))


def learn(generator: TwoWayGenerator, image: ImageFeatures, loss: DraftLoss, steps: int = 60) -> list[float]:
    trained = [*generator.decoder.parameters()]
    optimiser = torch.optim.Adam(trained, lr=3e-3)
    regions, target = question()
    values = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss(image, [regions], [target])
        value.backward()
        optimiser.step()
        values.append(value.item())
    return values


def overlap(generator: TwoWayGenerator, image: ImageFeatures) -> tuple[float, float]:
    """IoU of the best draft of the box and of the click with their objects."""
    regions, target = question()
    with torch.no_grad():
        masks, _, _ = generator.decode_regions(image, 0, regions)
    found = [target.iou(masks[label])[:, row].max() for row, label in enumerate(target.labels.tolist())]
    return float(found[1]), float(found[0])


def test_each_region_learns_its_own_object(generator: TwoWayGenerator, image: ImageFeatures) -> None:
    before = overlap(generator, image)
    values = learn(generator, image, DraftLoss(generator))
    assert values[-1] < 0.6 * values[0]
    assert max(before) < 0.5 < 0.75 < min(overlap(generator, image))


def test_outlines_are_learnt_beside_the_drafts_and_leave_them_alone(
    generator: TwoWayGenerator, image: ImageFeatures
) -> None:
    learn(generator, image, DraftLoss(generator))
    generator.requires_grad_(False)
    generator.fine_masks.requires_grad_(True)
    regions, target = question()

    def outlines() -> float:
        with torch.no_grad():
            masks, quality, states = generator.decode_regions(image, 0, regions)
            best = torch.arange(2), quality.argmax(1)
            drawn = generator.fine_masks(masks[best], states[best], image.pyramid[0][0]) > 0
        truth = target.masks[target.labels][:, ::2, ::2]
        return float((drawn & truth).sum() / (drawn | truth).sum())

    before = outlines()
    loss, optimiser = DraftLoss(generator), torch.optim.Adam(generator.fine_masks.parameters(), lr=3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        loss(image, [regions], [target]).backward()
        optimiser.step()
    assert outlines() > before + 0.02


def test_what_the_drafts_of_a_box_agree_on_learns_its_object(generator: TwoWayGenerator, image: ImageFeatures) -> None:
    regions, target = question()

    def agreement() -> float:
        with torch.no_grad():
            masks, quality, _ = generator.decode_regions(image, 0, regions)
            second = generator.draft_boxes_again(image, 0, regions, masks, quality)
        assert second is not None and second.rows.tolist() == [0]
        return float(target.iou(second.agreed)[0, target.labels.tolist().index(0)])

    before = agreement()
    learn(generator, image, DraftLoss(generator))
    assert before < 0.5 < 0.75 < agreement()


def test_every_draft_learns_how_good_it_is(generator: TwoWayGenerator, image: ImageFeatures) -> None:
    regions, target = question()

    def wrong() -> float:
        with torch.no_grad():
            masks, quality, _ = generator.decode_regions(image, 0, regions)
        truth = torch.stack([target.iou(masks[label])[:, row] for row, label in enumerate(target.labels.tolist())])
        return float((quality[target.labels] - truth).abs().mean())

    before = wrong()
    learn(generator, image, DraftLoss(generator), steps=250)
    assert wrong() < 0.5 * before


def test_drafts_of_seeds_change_less_when_they_are_kept(
    generator: TwoWayGenerator, image: ImageFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = torch.rand(20, 2, generator=torch.Generator().manual_seed(1)) * 96
    start = {name: value.clone() for name, value in generator.state_dict().items()}
    with torch.no_grad():
        before = generator.decode_seeds(image, 0, seeds)[2]
    changes = []
    for weight in (1.0, 0.0):
        generator.load_state_dict(start)
        monkeypatch.setattr("psalm.training.draft_loss._KEEP", weight)
        torch.manual_seed(0)
        learn(generator, image, DraftLoss(generator), steps=40)
        with torch.no_grad():
            changes.append(float((generator.decode_seeds(image, 0, seeds)[2] - before).square().mean()))
    assert changes[0] < 0.5 * changes[1]


def test_what_nobody_labelled_is_still_drawn_as_before(
    generator: TwoWayGenerator, image: ImageFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = torch.tensor([[4.0, 80.0], [30.0, 70.0], [80.0, 20.0], [90.0, 45.0]])
    start = {name: value.clone() for name, value in generator.state_dict().items()}
    with torch.no_grad():
        before = generator.decode_seeds(image, 0, outside)[0][:, 1:] > 0
    redrawn = []
    for weight in (4.0, 0.0):
        generator.load_state_dict(start)
        monkeypatch.setattr("psalm.training.draft_loss._KEEP_MASKS", weight)
        torch.manual_seed(0)
        learn(generator, image, DraftLoss(generator), steps=40)
        with torch.no_grad():
            redrawn.append(float(((generator.decode_seeds(image, 0, outside)[0][:, 1:] > 0) != before).float().mean()))
    assert redrawn[0] < 0.7 * redrawn[1]


def test_of_several_drafts_the_best_learns_to_be_chosen(generator: TwoWayGenerator, image: ImageFeatures) -> None:
    learn(generator, image, DraftLoss(generator), steps=100)
    regions, target = question()
    with torch.no_grad():
        masks, quality, _ = generator.decode_regions(image, 0, regions)
    for row, label in enumerate(target.labels.tolist()):
        iou = target.iou(masks[label])[:, row]
        assert iou[quality[label].argmax()] > iou.max() - 0.05


def test_the_loss_of_a_mask_is_least_for_the_mask_itself() -> None:
    truth = torch.zeros(1, 12, 12)
    truth[0, 3:9, 2:7] = 1
    right, shifted = (torch.where(mask > 0, 12.0, -12.0) for mask in (truth, truth.roll(2, 1)))
    assert float(mask_loss(right, truth)) < 0.01 < 0.3 < float(mask_loss(shifted, truth))
    assert float(mask_loss(shifted, truth)) < float(mask_loss(-right, truth))


def test_an_image_without_objects_has_no_loss(generator: TwoWayGenerator, image: ImageFeatures) -> None:
    empty = Target(torch.zeros(0, 96, 96, dtype=torch.bool), torch.zeros(0, dtype=torch.long))
    assert float(DraftLoss(generator)(image, [question()[0]], [empty])) == 0


class Backbone(nn.Module):
    """Four levels of an image, each a shrunken copy with channels of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(3, c, s, s) for c, s in zip(CHANNELS, (4, 8, 16, 16), strict=True))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(level(images) for level in self.levels)


def seen(backbone: Backbone, generator: TwoWayGenerator, images: torch.Tensor) -> ImageFeatures:
    pyramid = backbone(images)
    return ImageFeatures(pyramid, torch.zeros(len(images), 1, 1), generator.encode(pyramid))


def test_a_backbone_learns_beside_the_drafts(generator: TwoWayGenerator) -> None:
    torch.manual_seed(0)
    backbone, images = Backbone(), torch.randn(2, 3, 96, 96)
    regions, target = question()
    loss = DraftLoss(generator, backbone)
    loss(seen(backbone, generator, images), [regions] * 2, [target] * 2, images).backward()
    gradient = next(backbone.levels[3].parameters()).grad  # the finest levels wait for drafts that show something
    assert gradient is not None and gradient.isfinite().all() and gradient.any()


def test_a_backbone_that_learns_is_compared_with_what_it_was(generator: TwoWayGenerator) -> None:
    torch.manual_seed(0)
    backbone, images = Backbone(), torch.randn(1, 3, 96, 96)
    loss, (regions, target) = DraftLoss(generator, backbone), question()
    asked = _Question.of_batch([regions], [target], torch.device("cpu"))
    truth = target.masks[:, ::4, ::4].float()
    drifts = []
    for amount in (0.0, 0.3):
        with torch.no_grad():
            for parameter in backbone.parameters():
                parameter.add_(amount * torch.randn_like(parameter))
            torch.manual_seed(1)
            now = seen(backbone, generator, images)  # some of the seeds lie outside of the objects
            drifts.append(sum(float(loss._drift(now, asked, truth, images)) for _ in range(12)))
    # Masks that were nothing but empty or full differ from themselves by what dice says of soft masks.
    assert drifts[0] < drifts[1]
    with pytest.raises(ConfigError, match="cache: false"):
        loss(seen(backbone, generator, images), [regions], [target])


def test_drafts_on_labelled_objects_are_held_only_where_asked(generator: TwoWayGenerator, image: ImageFeatures) -> None:
    regions, target = question()
    everywhere = Target(torch.ones_like(target.masks), target.labels)
    asked = _Question.of_batch([regions], [everywhere], torch.device("cpu"))
    free, held = DraftLoss(generator, hold_states=False), DraftLoss(generator)
    with torch.no_grad():
        for parameter in generator.decoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        truth = everywhere.masks[:, ::4, ::4].float()
        assert float(free._drift(image, asked, truth, None)) == 0 < float(held._drift(image, asked, truth, None))
        beside = target.masks[:, ::4, ::4].float() * 0  # nothing is labelled
        assert float(free._drift(image, asked, beside, None)) > 0


def test_a_batch_is_the_mean_of_its_regions(generator: TwoWayGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psalm.training.draft_loss._KEEP", 0.0)
    torch.manual_seed(3)
    pyramid = tuple(torch.randn(2, c, 96 // s, 96 // s) for c, s in zip(CHANNELS, (4, 8, 16, 16), strict=True))
    both = ImageFeatures(pyramid, torch.zeros(2, 1, 1), generator.encode(pyramid))
    parts = [
        ImageFeatures(tuple(x[b : b + 1] for x in pyramid), torch.zeros(1, 1, 1), {"embedding": own[None]})
        for b, own in enumerate(both.generator["embedding"])
    ]
    regions, target = question()
    loss = DraftLoss(generator)
    alone = [loss(part, [regions], [target]).item() for part in parts]
    assert loss(both, [regions] * 2, [target] * 2).item() == pytest.approx(sum(alone) / 2, rel=1e-4)


def test_a_gpu_is_always_asked_as_much_and_half_of_it_boxes() -> None:
    kinds = [("box", "point", "mask"), (), ("scribble",), ("box",)]
    rows = [[(0, 2), (1, 0), (2, 1)], [], [(0, 0)], [(0, 0)]]
    filled = _filled(rows, kinds, 12)
    assert [len(each) for each in filled] == [7, 0, 2, 3] and filled[3] == [(0, 0)] * 3
    assert sum(kinds[b][label] == "box" for b, each in enumerate(filled) for label, _ in each) == 6
    assert set(filled[0]) == {(0, 2), (1, 0), (2, 1)}
    assert sum(map(len, _filled([[(0, 0)]], [("point",)], 8))) == 8


def test_a_generator_that_drafts_nothing_is_refused(settings: dict, tmp_path: Path) -> None:
    from psalm.training import TrainConfig, train

    settings["stages"][0]["draft_weight"] = 1.0
    with pytest.raises(ConfigError, match="draft_weight is set"):
        train(TrainConfig.from_dict(settings), progress=False)
