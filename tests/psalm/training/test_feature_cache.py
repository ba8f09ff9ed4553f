"""Cached features equal fresh ones, and never outlive the weights that made them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from psalm.config import PSALMConfig
from psalm.errors import ConfigError
from psalm.modeling.features import Regions
from psalm.modeling.psalm import PSALM
from psalm.prompts import IMAGE, MASK_TOKENS, REGION, Prompt
from psalm.training.feature_cache import FeatureCache, encoder_hash
from psalm.training.frozen import train_only

HEADS = ["language_model", "*projector", "mask_generator.token", "mask_generator.category_head"]
SENTENCE = Prompt((1, IMAGE, 5, 6, MASK_TOKENS, 2), ((2, 4),), "sentence")
REGIONS = Prompt((1, IMAGE, REGION, MASK_TOKENS, 2), ((2, 3),), "regions")


@pytest.fixture(scope="module", params=["", "tf_efficientnet_lite0"], ids=["alone", "semantic"])
def drafting(request: pytest.FixtureRequest) -> PSALM:
    """A small model whose generator drafts masks from the image alone, with and without a semantic backbone."""
    torch.manual_seed(0)
    config = PSALMConfig.small(
        image_size=128,
        backbone="tiny_vit",
        semantic_backbone=request.param,
        semantic_size=64,
        mask_generator="two_way",
        num_seeds=16,
        num_mask_tokens=6,
        hidden_dim=64,
    )
    return PSALM(config)


@pytest.fixture
def model(drafting: PSALM) -> PSALM:
    """The same, with its heads in training."""
    train_only(drafting, HEADS)
    return drafting.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("regions", [False, True])
def test_cached_features_give_the_same_proposals(
    model: PSALM, images: torch.Tensor, tmp_path: Path, regions: bool
) -> None:
    mask = torch.zeros(1, 128, 128, dtype=torch.bool)
    mask[:, 30:60, 40:80] = True
    prompts = [REGIONS if regions else SENTENCE] * 2
    priors = [Regions(mask, ("box",))] * 2 if regions else None
    cache = FeatureCache(tmp_path, model)
    with torch.no_grad():
        fresh = model(images, prompts, priors)[-1]
        first = model.propose(cache.encode(images, ["a", "b"], regions), prompts, priors)[-1]
        again = model.propose(cache.encode(torch.zeros_like(images), ["a", "b"], regions), prompts, priors)[-1]
    assert torch.equal(first.condition_logits, again.condition_logits)
    assert torch.equal(first.mask_logits, again.mask_logits)
    same = ((fresh.mask_logits > 0) == (first.mask_logits > 0)).float().mean()
    assert same > 0.98
    kinds = {path.name.split(".")[1] for path in tmp_path.rglob("*.safetensors")}
    assert kinds == ({"maps"} if regions else {"drafts"})


def test_an_image_without_a_key_is_not_kept(model: PSALM, images: torch.Tensor, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, model)
    cache.encode(images, ["", ""], regions=True)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_damaged_file_is_made_again(model: PSALM, images: torch.Tensor, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, model)
    before = cache.encode(images[:1], ["a"], regions=True)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    after = cache.encode(images[:1], ["a"], regions=True)
    assert torch.equal(before.pyramid[0], after.pyramid[0])


def test_another_way_of_drafting_shares_the_maps(
    model: PSALM, images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_only(model, [*HEADS, "mask_generator.decoder"])
    FeatureCache(tmp_path, model).encode(images, ["a", "b"], regions=True)
    with torch.no_grad():
        model.mask_generator.decoder.iou_token.weight.mul_(2)  # type: ignore[attr-defined]
    train_only(model, HEADS)
    cache = FeatureCache(tmp_path, model)
    fresh = cache.encode(images, ["", ""], regions=False)

    def fail(_: torch.Tensor) -> None:
        raise AssertionError("the image was encoded again")

    monkeypatch.setattr(model.backbone, "forward", fail)
    kept = cache.encode(images, ["a", "b"], regions=False)
    assert torch.equal(kept.generator["quality"], fresh.generator["quality"])
    assert torch.equal(kept.pyramid[-1], fresh.pyramid[-1])


def test_the_folder_follows_the_weights_that_matter(model: PSALM) -> None:
    name = encoder_hash(model)
    with torch.no_grad():
        model.query_projector.weight.mul_(2)
        assert encoder_hash(model) == name
        model.mask_generator.seed_head.out.weight.mul_(2)  # type: ignore[attr-defined]
    assert encoder_hash(model) != name


@pytest.mark.parametrize("part", ["mask_generator.neck", "mask_generator.seed_head", "backbone"])
def test_training_what_makes_the_features_is_refused(model: PSALM, part: str) -> None:
    train_only(model, [*HEADS, part])
    with pytest.raises(ConfigError, match=part):
        encoder_hash(model)
