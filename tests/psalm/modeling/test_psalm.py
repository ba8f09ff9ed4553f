"""The assembled model: equal to the published code's numbers, and batches that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from psalm.checkpoint import load_official_state_dict
from psalm.config import PSALMConfig
from psalm.errors import ConditionError
from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.input_sequence import assemble
from psalm.modeling.psalm import PSALM
from psalm.modeling.region_sampler import pool_points
from psalm.prompts import IMAGE, MASK_TOKENS, REGION, ConditionKind, Prompt, sequence_length

CATEGORY, SENTENCE = -202, -204  # placeholders that only the recorded ids have
CASES = {
    "a_panoptic_3cls": "A",
    "b2_panoptic_7cls_allstuff": "B",
    "a_instance_3cls": "A",
    "b_instance_7cls_portrait": "C",
    "a_semantic_3cls": "A",
    "c_referring_short": "A",
    "e_interactive_point": "A",
    "f_interactive_scribble": "B",
    "g_interactive_box": "C",
    "h_interactive_mask": "B",
    "k_batch_referring": "AB",
    "l_video_step1": ("D2",),
}
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def recorded_prompt(case: dict[str, Tensor], b: int) -> Prompt:
    """The prompt of image `b` of a recorded case."""
    kind: ConditionKind = "regions"
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    for token in case["input_ids"][b][case["attention_mask"][b].bool()].tolist():
        start = len(ids)
        if token == CATEGORY:
            kind = "categories"
            ids += case["class_name_ids"][b][case["cls_indices"][b] == len(spans)].tolist()
        elif token == SENTENCE:
            kind = "sentence"
            ids += case[f"token_refer_id_{b}"].tolist()
        else:
            ids.append(token)
        if token in (CATEGORY, SENTENCE, REGION):
            spans.append((start, len(ids)))
    return Prompt(tuple(ids), tuple(spans), kind)


class RecordedPoints(PSALM):
    """Pools regions at the points that the published code drew when its numbers were recorded."""

    points: Tensor

    def pool_regions(self, features: ImageFeatures, regions: Any) -> Tensor:
        return pool_points(features.image_tokens[0], self.points)[None]


@pytest.fixture(scope="module")
def published(golden: Callable[[str], Path]) -> RecordedPoints:
    model = RecordedPoints(PSALMConfig.small())
    load_official_state_dict(model, load_file(golden("tiny_official.safetensors")))
    return model.eval()


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_equals_the_published_code(name: str, published: RecordedPoints, golden: Callable[[str], Path]) -> None:
    case = load_file(golden(f"cases/{name}.safetensors"))
    images = torch.cat([load_file(golden(f"img_{letter}.safetensors"))["image"] for letter in CASES[name]])
    features = published.encode_image(images)
    prompts = [recorded_prompt(case, b) for b in range(len(images))]
    kind = prompts[0].kind
    regions, reference, region_tokens = None, None, None
    if kind == "regions":
        published.points = case["region_sample_points_yx_0"]
        reference = published.encode_image(case["vp_image"]) if "vp_image" in case else None
        masks = case.get("vp_region_masks_0", case.get("region_masks_0"))
        regions = [Regions(masks.bool(), ("mask",) * len(masks))]
        region_tokens = published.pool_regions(reference or features, regions)
        torch.testing.assert_close(region_tokens[0], case["region_feature_0"].flatten(0, 1), **CLOSE)

    draft = published.mask_generator.draft(features, regions)
    embed = published.language_model.embed_tokens
    sequence = assemble(prompts, embed, features.image_tokens, draft.tokens, region_tokens)
    states = published.language_model(sequence)
    read = case["llm_attention_mask"].bool()
    torch.testing.assert_close(sequence.embeddings[read], case["inputs_embeds"][read], **CLOSE)
    torch.testing.assert_close(states[read], case["last_hidden_state"][read], **CLOSE)
    queries = published.query_projector(sequence.mask_token_states(states))
    torch.testing.assert_close(queries, case["seg_query_projected"], **CLOSE)
    conditions = published.embed_conditions(states, sequence, kind).embeddings
    expected = {"categories": "class_embed", "sentence": "SEG_embed", "regions": "region_embed_0"}[kind]
    torch.testing.assert_close(conditions.flatten(0, 1), case[expected].flatten(0, -2), **CLOSE)

    *_, proposals = published.propose(features, prompts, regions, reference=reference)
    logits = {"categories": "pred_class_name_logits", "sentence": "pred_SEG_logits"}.get(kind, "pred_region_logits_0")
    scores = case[logits].T[None] if kind == "regions" else case[logits]
    torch.testing.assert_close(proposals.mask_logits, case["pred_masks"], **CLOSE)
    torch.testing.assert_close(proposals.condition_logits, scores, **CLOSE)


@pytest.fixture(scope="module")
def model() -> PSALM:
    torch.manual_seed(0)
    return PSALM(PSALMConfig.small(decoder_layers=2, image_size=96)).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))


def categories(*lengths: int) -> Prompt:
    """A prompt with one category per length, after a fixed instruction."""
    ids, spans = [5, IMAGE, 6, 7], []
    for i, length in enumerate(lengths):
        spans.append((len(ids), len(ids) + length))
        ids += [*range(20 + 10 * i, 20 + 10 * i + length), 8]
    return Prompt((*ids, MASK_TOKENS, 9), tuple(spans), "categories")


def region_prompt(count: int) -> Prompt:
    """A prompt with `count` regions."""
    ids = (5, IMAGE, 6, *(REGION, 8) * count, MASK_TOKENS, 9)
    return Prompt(ids, tuple((3 + 2 * i, 4 + 2 * i) for i in range(count)), "regions")


def squares(count: int) -> Regions:
    """`count` squares along the diagonal."""
    masks = torch.zeros(count, 96, 96, dtype=torch.bool)
    for i in range(count):
        masks[i, 20 * i : 20 * i + 15, 20 * i : 20 * i + 15] = True
    return Regions(masks, ("mask",) * count)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["categories", "regions"])
def test_a_batch_equals_its_images_one_by_one(model: PSALM, images: Tensor, kind: str) -> None:
    prompts, regions = [categories(2, 3, 1), categories(1, 4, 1, 2, 2)], None
    if kind == "regions":
        prompts, regions = [region_prompt(3), region_prompt(1)], [squares(3), squares(1)]
    together = model(images, prompts, regions)[-1]
    assert together.num_conditions == tuple(prompt.num_conditions for prompt in prompts)
    for b, prompt in enumerate(prompts):
        alone = model(images[b : b + 1], [prompt], regions and regions[b : b + 1])[-1]
        torch.testing.assert_close(together.mask_logits[b], alone.mask_logits[0], **CLOSE)
        real = together.condition_logits[b, :, : prompt.num_conditions]
        torch.testing.assert_close(real, alone.condition_logits[0], **CLOSE)


@torch.no_grad()
def test_another_condition_changes_the_answer(model: PSALM, images: Tensor) -> None:
    features = model.encode_image(images[:1])
    one, two = (
        model.propose(features, [region_prompt(1)], [Regions(squares(2).masks[i : i + 1], ("mask",))])[-1]
        for i in range(2)
    )
    assert not torch.allclose(one.condition_logits, two.condition_logits, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["causal", "full"])
def test_a_read_prefix_changes_nothing(images: Tensor, attention: Any) -> None:
    torch.manual_seed(0)
    model = PSALM(PSALMConfig.small(decoder_layers=2, image_size=96, mask_token_attention=attention)).eval()
    prompts = [categories(2, 3, 1), categories(1, 4, 1, 2)]
    features = model.encode_image(images)
    prefix = model.read_prefix(features, prompts[0])
    for _ in range(2):  # the cache must come out of its first use unchanged
        plain, cached = (model.propose(features, prompts, prefix=given)[-1] for given in (None, prefix))
        torch.testing.assert_close(cached.mask_logits, plain.mask_logits, **CLOSE)
        torch.testing.assert_close(cached.condition_logits, plain.condition_logits, **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["causal", "full"])
def test_a_prompt_that_is_read_in_one_go_leaves_its_prefix(images: Tensor, attention: Any) -> None:
    torch.manual_seed(0)
    model = PSALM(PSALMConfig.small(decoder_layers=2, image_size=96, mask_token_attention=attention)).eval()
    prompts = [categories(2, 3, 1), categories(1, 4, 1, 2)]
    features = model.encode_image(images)
    plain = model.propose(features, prompts)[-1]
    assert not features.prefixes
    begun = model.propose(features, prompts, prefix=model.read_opening(prompts[0]))[-1]
    (kept,) = features.prefixes.values()
    expected = model.read_prefix(features, prompts[0])
    assert kept.token_ids == expected.token_ids
    torch.testing.assert_close(kept.layers, expected.layers, **CLOSE)
    continued = model.propose(features, prompts, prefix=kept)[-1]
    for found in (begun, continued):
        torch.testing.assert_close(found.mask_logits, plain.mask_logits, **CLOSE)
        torch.testing.assert_close(found.condition_logits, plain.condition_logits, **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("count", [None, 2])
def test_the_small_model_fits_together(count: int | None) -> None:
    config = PSALMConfig.small(backbone="tiny_vit", mask_generator="two_way", image_size=128)
    model = PSALM(config).eval()
    features = model.encode_image(torch.randn(1, 3, 128, 128))
    masks = torch.zeros(count or 0, 128, 128, dtype=torch.bool)
    masks[:, 20:60, 30:80] = True
    regions = [Regions(masks, ("mask",) * count)] if count else None
    prompt = region_prompt(count) if count else categories(1, 2)
    proposals = model.propose(features, [prompt], regions)[-1]
    assert proposals.condition_logits.shape == (*proposals.mask_logits.shape[:2], 2)
    tokens = features.image_tokens.shape[1] + proposals.mask_logits.shape[1]
    # Seeds that drafted the same mask leave fewer mask tokens than there may be.
    most = sequence_length(prompt, config)
    assert len(prompt.token_ids) - 2 + tokens <= most
    assert count is None or len(prompt.token_ids) - 2 + tokens == most


@torch.no_grad()
def test_regions_of_another_image_in_the_batch_change_nothing_in_the_small_model() -> None:
    torch.manual_seed(0)
    config = PSALMConfig.small(
        backbone="tiny_vit", mask_generator="two_way", mask_token_attention="full", image_size=96
    )
    model, images = PSALM(config).eval(), torch.randn(2, 3, 96, 96)
    for parameter in model.mask_generator.region_head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # it begins at zero, which would hide any difference
    together = model(images, [region_prompt(3), region_prompt(1)], [squares(3), squares(1)])[-1]
    alone = model(images[1:], [region_prompt(1)], [squares(1)])[-1]
    drafted = alone.condition_logits.shape[1]
    torch.testing.assert_close(together.condition_logits[1, :drafted, :1], alone.condition_logits[0], **CLOSE)


def test_gradients_reach_every_part_of_the_language_side(images: Tensor) -> None:
    model = PSALM(PSALMConfig.small(decoder_layers=1, image_size=96, mask_token_attention="full"))
    proposals = model(images, [region_prompt(1), region_prompt(2)], [squares(1), squares(2)])[-1]
    (proposals.mask_logits.sum() + proposals.condition_logits.sum()).backward()
    for part in (model.query_projector, model.region_projector, model.projector.linear):
        assert part.weight.grad is not None and part.weight.grad.abs().sum() > 0
    assert model.language_model.model.embed_tokens.weight.grad is not None


def test_says_what_does_not_fit(model: PSALM, images: Tensor) -> None:
    features = model.encode_image(images)
    for prompts, regions, words in (
        ([categories(1)], None, "1 prompts for 2 images"),
        ([categories(1), region_prompt(1)], None, "mixes"),
        ([region_prompt(1)] * 2, None, "sets of regions"),
        ([region_prompt(1)] * 2, [squares(1), squares(2)], "Image 2 has 2 regions"),
        ([categories(1)] * 2, [squares(1)] * 2, "leave them out"),
    ):
        with pytest.raises(ConditionError, match=words):
            model.propose(features, prompts, regions)
