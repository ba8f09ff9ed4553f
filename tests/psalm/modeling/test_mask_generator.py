from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from psalm.config import PSALMConfig
from psalm.modeling.features import ConditionEmbeddings, ImageFeatures
from psalm.modeling.mask_generator import Mask2FormerGenerator

CHANNELS = (16, 32, 64, 128)
KEPT = ("mask_features", "multi_scale_0", "multi_scale_1", "multi_scale_2")
CASES = (
    "a_panoptic_3cls",
    "b2_panoptic_7cls_allstuff",
    "a_instance_3cls",
    "b_instance_7cls_portrait",
    "a_semantic_3cls",
    "c_referring_short",
    "e_interactive_point",
    "f_interactive_scribble",
    "g_interactive_box",
    "h_interactive_mask",
    "k_batch_referring",
    "l_video_step1",
)
RECORDED = (
    ("class_embed", "categories", "pred_class_name_logits"),
    ("SEG_embed", "sentence", "pred_SEG_logits"),
    ("region_embed_0", "regions", "pred_region_logits_0"),
)


@pytest.fixture
def generator() -> Mask2FormerGenerator:
    torch.manual_seed(0)
    return Mask2FormerGenerator(PSALMConfig.small(), CHANNELS).eval()


def test_from_pyramid_to_proposals(generator):
    pyramid = tuple(torch.randn(2, c, 16 // s, 16 // s) for c, s in zip(CHANNELS, (1, 2, 4, 8), strict=True))
    kept = generator.encode(pyramid)
    assert tuple(kept) == KEPT
    features = ImageFeatures(pyramid, torch.randn(2, 4, 64), kept)
    draft = generator.draft(features, None)
    assert draft.tokens.shape == (2, 20, 64)
    assert draft.region_tokens is None
    conditions = ConditionEmbeddings(torch.randn(2, 3, 64), (3, 2), "regions")
    proposals = generator(features, draft, torch.randn(2, 20, 64), conditions)
    assert len(proposals) == 5
    assert proposals[-1].mask_logits.shape == (2, 20, 16, 16)
    assert proposals[-1].condition_logits.shape == (2, 20, 3)
    assert proposals[-1].num_conditions == (3, 2)


def test_every_parameter_learns_from_the_proposals(generator):
    """Each head learns from its own kind of condition; the mask tokens from the language model."""
    pyramid = tuple(torch.randn(1, c, 16 // s, 16 // s) for c, s in zip(CHANNELS, (1, 2, 4, 8), strict=True))
    features = ImageFeatures(pyramid, torch.randn(1, 4, 64), generator.encode(pyramid))
    draft = generator.draft(features, None)
    loss = torch.zeros(())
    for kind in ("categories", "sentence", "regions"):
        for proposal in generator(
            features, draft, draft.tokens, ConditionEmbeddings(torch.randn(1, 1, 64), (1,), kind)
        ):
            loss = loss + proposal.mask_logits.square().mean() + proposal.condition_logits.square().mean()
    loss.backward()
    assert [name for name, parameter in generator.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("case", CASES)
def test_parity_with_the_official_decoder_in_every_layer(golden, vision_weights, case):
    generator = Mask2FormerGenerator(PSALMConfig.small(), CHANNELS).eval()
    generator.load_state_dict(vision_weights("mask_generator"))
    recorded = load_file(golden(f"cases/{case}.safetensors"))
    names = json.loads(golden("cases.json").read_text(encoding="utf-8"))[case]["images"]
    images = [load_file(golden(f"img_{name}.safetensors")) for name in names]
    kept = {name: torch.cat([image[name] for image in images]) for name in KEPT}
    features = ImageFeatures((), torch.cat([image["mm_projector"] for image in images]), kept)
    embeddings, kind, logits_name = _condition(recorded)
    conditions = ConditionEmbeddings(embeddings, (embeddings.shape[1],) * len(images), kind)
    with torch.no_grad():
        proposals = generator(features, generator.draft(features), recorded["seg_query_projected"], conditions)
    for layer, prefix in enumerate(("aux0_", "aux1_", "aux2_", "aux3_", "")):
        expected = recorded[prefix + logits_name]
        expected = expected.T[None] if kind == "regions" else expected
        torch.testing.assert_close(proposals[layer].mask_logits, recorded[f"{prefix}pred_masks"], rtol=0, atol=1e-4)
        torch.testing.assert_close(proposals[layer].condition_logits, expected, rtol=0, atol=1e-4)


def _condition(recorded):
    """Embeddings (B, K, C), kind, and name of the recorded logits."""
    for name, kind, logits_name in RECORDED:
        if name in recorded:
            return (recorded[name][None] if kind == "regions" else recorded[name]), kind, logits_name
    raise KeyError("no recorded condition")
