from __future__ import annotations

import pytest
import torch

from psalm.modeling.features import ConditionEmbeddings, ImageFeatures, Regions
from psalm.modeling.fine_masks import enlarge
from psalm.modeling.seeds import seed_targets
from psalm.modeling.two_way_generator import TwoWayGenerator, distinct_masks
from tests.psalm.modeling.builders import two_way_config

CHANNELS = (6, 8, 10, 12)


@pytest.fixture
def generator() -> TwoWayGenerator:
    torch.manual_seed(0)
    return TwoWayGenerator(two_way_config(), CHANNELS).eval()


def features(generator: TwoWayGenerator, batch: int = 1) -> ImageFeatures:
    torch.manual_seed(3)
    pyramid = tuple(torch.randn(batch, c, 96 // s, 96 // s) for c, s in zip(CHANNELS, (4, 8, 16, 16), strict=True))
    return ImageFeatures(pyramid, torch.zeros(batch, 1, 1), generator.encode(pyramid))


def squares(*starts: int) -> Regions:
    masks = torch.zeros(len(starts), 96, 96, dtype=torch.bool)
    for mask, start in zip(masks, starts, strict=True):
        mask[start : start + 20, start : start + 20] = True
    return Regions(masks, ("box",) * len(starts))


@torch.no_grad()
def test_seeds_give_the_same_proposals_whatever_is_asked(generator: TwoWayGenerator) -> None:
    image = features(generator)
    first = generator.draft(image, None)
    count = first.tokens.shape[1]
    assert first.tokens.shape == (1, count, 32) and first.counts == (count,) and 0 < count <= 10
    drafted = image.generator["masks"]
    generator.draft(image, None)
    assert image.generator["masks"] is drafted, "drafted twice for one image"
    names = ConditionEmbeddings(torch.randn(1, 3, 32), (3,), "categories")
    (proposals,) = generator(image, first, torch.randn(1, count, 32), names)
    assert proposals.mask_logits.shape == (1, count, 24, 24)
    assert proposals.condition_logits.shape == (1, count, 3)


@torch.no_grad()
def test_an_image_with_fewer_distinct_masks_has_fewer_mask_tokens(generator: TwoWayGenerator) -> None:
    image = features(generator, 2)
    generator.seed_proposals(image)
    for name in ("masks", "quality", "description"):
        image.generator[name] = image.generator[name].clone()
        image.generator[name][1, 1:] = -10.0 if name == "masks" else 0.0
    draft = generator.draft(image, None)
    assert draft.counts is not None and draft.counts[1] == 1 < draft.counts[0] == draft.tokens.shape[1]


@torch.no_grad()
def test_masks_of_a_cache_give_the_same_logits(generator: TwoWayGenerator) -> None:
    image = features(generator)
    draft = generator.draft(image, None)
    image.generator["masks"] = image.generator["masks"] > 0
    names = ConditionEmbeddings(torch.randn(1, 2, 32), (2,), "categories")
    queries = torch.randn(1, draft.tokens.shape[1], 32)
    (cached,) = generator(image, generator.draft(image, None), queries, names)
    (fresh,) = generator(image, draft, queries, names)
    assert torch.equal(cached.condition_logits, fresh.condition_logits)
    assert torch.equal(cached.mask_logits > 0, fresh.mask_logits > 0)


@torch.no_grad()
def test_a_batch_of_regions_equals_its_images_one_by_one(generator: TwoWayGenerator) -> None:
    both, regions = features(generator, 2), [squares(10), squares(20, 50)]
    together = generator.draft(both, regions)
    assert together.tokens.shape == (2, 8, 32) and together.region_tokens is not None
    for b, region in enumerate(regions):
        one = ImageFeatures(
            tuple(level[b : b + 1] for level in both.pyramid),
            both.image_tokens[b : b + 1],
            {name: value[b : b + 1] for name, value in both.generator.items()},
        )
        alone = generator.draft(one, [region])
        count = len(region.kinds)
        assert alone.region_tokens is not None
        torch.testing.assert_close(together.tokens[b, : 4 * count], alone.tokens[0], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(together.region_tokens[b, :count], alone.region_tokens[0], atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_a_region_is_answered_by_its_own_drafts_and_begins_with_their_quality(generator: TwoWayGenerator) -> None:
    image = features(generator)
    draft = generator.draft(image, [squares(10, 60)])
    conditions = ConditionEmbeddings(torch.randn(1, 2, 32), (2,), "regions")
    (proposals,) = generator(image, draft, torch.randn(1, 8, 32), conditions)
    logits = proposals.condition_logits[0]
    assert (logits[:4, 1] < -1e3).all() and (logits[4:, 0] < -1e3).all()
    torch.testing.assert_close(logits[:4, 0], torch.logit(draft.state["quality"][0, :4].clamp(0.02, 0.98)))


@torch.no_grad()
def test_masks_of_regions_are_twice_as_fine_and_only_the_chosen_one_is_redrawn(generator: TwoWayGenerator) -> None:
    torch.nn.init.normal_(generator.fine_masks.correction.weight)
    image = features(generator)
    draft = generator.draft(image, [squares(10, 60)])
    conditions = ConditionEmbeddings(torch.randn(1, 2, 32), (2,), "regions")
    (proposals,) = generator(image, draft, torch.randn(1, 8, 32), conditions)
    plain = enlarge(draft.state["masks"][0])
    assert proposals.mask_logits.shape == (1, 8, 48, 48) == (1, *plain.shape)
    chosen = proposals.condition_logits[0].argmax(0).tolist()
    for i in range(8):
        assert torch.equal(proposals.mask_logits[0, i], plain[i]) or i in chosen
    assert any(not torch.equal(proposals.mask_logits[0, i], plain[i]) for i in chosen)


@torch.no_grad()
def test_the_best_draft_of_a_box_is_what_all_agree_on_and_other_kinds_stay(generator: TwoWayGenerator) -> None:
    image, regions = features(generator), squares(10, 60)
    mixed = Regions(regions.masks, ("scribble", "box"))
    masks, _, _ = generator.decode_regions(image, 0, mixed)
    state = generator.draft(image, [mixed]).state
    drafted = state["masks"][0].unflatten(0, (2, 4))
    torch.testing.assert_close(drafted[0], masks[0], atol=1e-5, rtol=1e-5)
    best = int(state["quality"][0, 4:].argmax())
    others = [i for i in range(4) if i != best]
    torch.testing.assert_close(drafted[1, others], masks[1, others], atol=1e-5, rtol=1e-5)
    again, _, _ = generator.decode_regions(image, 0, squares(60), masks[1, best][None])
    every = torch.cat([masks[1], again[0]])
    assert not torch.equal(drafted[1, best], masks[1, best])
    low, high = every.amin(0) - 1e-4, every.amax(0) + 1e-4
    assert ((drafted[1, best] >= low) & (drafted[1, best] <= high)).all()


@pytest.mark.parametrize("boxes", [False, True])
def test_the_seed_loss_falls_when_the_head_learns(boxes: bool) -> None:
    torch.manual_seed(0)
    generator = TwoWayGenerator(two_way_config(seed_boxes=boxes), CHANNELS).eval()
    image, masks = features(generator), squares(20).masks
    optimiser = torch.optim.Adam(generator.seed_head.parameters(), lr=0.01)
    before = generator.seed_loss(image, [seed_targets(masks)], [True])
    for _ in range(30):
        optimiser.zero_grad()
        loss = generator.seed_loss(image, [seed_targets(masks)], [True])
        loss.backward(retain_graph=True)
        optimiser.step()
    assert loss < before / 2


def test_pixels_outside_of_labelled_objects_do_not_count_where_labels_are_missing(generator: TwoWayGenerator) -> None:
    image, masks = features(generator), squares(20).masks
    complete, partial = (generator.seed_loss(image, [seed_targets(masks)], [flag]) for flag in (True, False))
    assert complete != partial


@torch.no_grad()
def test_what_the_head_tells_of_reach_decides_where_seeds_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    generator = TwoWayGenerator(two_way_config(seed_boxes=True), CHANNELS).eval()
    asked: list[torch.Tensor] = []
    encode = generator.prior_encoder.seeds

    def remember(points: torch.Tensor) -> torch.Tensor:
        asked.append(points)
        return encode(points)

    monkeypatch.setattr(generator.prior_encoder, "seeds", remember)
    for reach in (-5.0, 5.0):  # boxes of a pixel, and of the whole image
        assert generator.seed_head.reach is not None
        torch.nn.init.constant_(generator.seed_head.reach[-1].bias, reach)
        image = features(generator)
        generator.seed_proposals(image)
        assert image.generator["masks"].shape == (1, 10, 24, 24)
    narrow, wide = torch.cat(asked).split(8)
    assert torch.equal(narrow[0], wide[0]) and narrow.shape == (8, 2)


def test_nearly_equal_and_empty_masks_are_dropped() -> None:
    masks = torch.zeros(4, 10, 10, dtype=torch.bool)
    masks[0, :5], masks[1, :5], masks[2, 5:] = True, True, True
    masks[1, 0, 0] = False
    kept = distinct_masks(masks, torch.tensor([0.5, 0.9, 0.7, 1.0]), count=4)
    assert kept.tolist() == [1, 2]
    assert distinct_masks(masks, torch.tensor([0.5, 0.9, 0.7, 1.0]), count=1).tolist() == [1]
