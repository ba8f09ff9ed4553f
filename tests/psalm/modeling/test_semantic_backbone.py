from __future__ import annotations

import pytest
import timm
import torch

from psalm.errors import ConfigError
from psalm.modeling.features import ConditionEmbeddings
from psalm.modeling.psalm import PSALM
from psalm.modeling.semantic_backbone import SemanticBackbone
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.prompts import ConditionKind
from tests.psalm.modeling.builders import two_way_config

CONFIG = two_way_config(semantic_backbone="tf_efficientnet_lite0", semantic_size=64)


@torch.no_grad()
def test_the_classifier_sees_the_image_as_it_was_trained() -> None:
    backbone = SemanticBackbone(CONFIG).eval()
    rgb = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CONFIG.pixel_mean, CONFIG.pixel_std))
    # This model of timm was trained with pixels from -1 to 1.
    expected = backbone.body(rgb / 127.5 - 1)[0]
    found = backbone((rgb - mean) / std)
    assert found.shape == (2, backbone.channels, 2, 2)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert timm.get_pretrained_cfg(CONFIG.semantic_backbone).mean == (0.5, 0.5, 0.5)


@torch.no_grad()
def test_half_of_the_precision_sees_nearly_the_same() -> None:
    torch.manual_seed(0)
    backbone = SemanticBackbone(CONFIG).eval()
    images = torch.randn(1, 3, 96, 96)
    whole, half = backbone(images), backbone.to(torch.bfloat16)(images.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(whole, half.float(), dim=1).min() > 0.99


@torch.no_grad()
def test_what_it_sees_meets_names_and_sentences() -> None:
    torch.manual_seed(0)
    model = PSALM(CONFIG).eval()
    generator = model.mask_generator
    assert isinstance(generator, TwoWayGenerator) and generator.look is not None
    features = model.encode_image(torch.randn(1, 3, 96, 96))
    draft = generator.draft(features, None)
    assert features.generator["description"].shape[-1] == generator.description_size
    queries, words = torch.randn(1, draft.tokens.shape[1], 32), torch.randn(1, 2, 32)
    kinds: tuple[ConditionKind, ...] = ("categories", "sentence")
    conditions = [ConditionEmbeddings(words, (2,), kind) for kind in kinds]
    before = [generator(features, draft, queries, asked)[-1].condition_logits for asked in conditions]
    for parameter in generator.look.parameters():
        torch.nn.init.normal_(parameter)
    after = [generator(features, draft, queries, asked)[-1].condition_logits for asked in conditions]
    assert all(not torch.allclose(old, new) for old, new in zip(before, after, strict=True))


@torch.no_grad()
def test_training_may_leave_the_language_model_out_of_names_alone() -> None:
    torch.manual_seed(0)
    model = PSALM(CONFIG)
    generator = model.mask_generator
    assert isinstance(generator, TwoWayGenerator)
    features = model.eval().encode_image(torch.randn(1, 3, 96, 96))
    draft = generator.draft(features, None)
    said = [torch.randn(1, draft.tokens.shape[1], 32) for _ in range(2)]

    def differ(kind: ConditionKind) -> bool:
        asked = ConditionEmbeddings(torch.ones(1, 2, 32), (2,), kind)
        one, other = (generator(features, draft, queries, asked)[-1].condition_logits for queries in said)
        return not torch.allclose(one, other)

    generator.look_alone = 1.0
    assert differ("categories"), "only training leaves it out"
    generator.train()
    for forgetful in (module for module in generator.modules() if isinstance(module, torch.nn.Dropout)):
        forgetful.eval()
    assert not differ("categories") and differ("sentence")
    generator.look_alone = 0.0
    assert differ("categories")


def test_only_a_generator_that_describes_its_masks_has_use_for_it() -> None:
    with pytest.raises(ConfigError, match="two_way"):
        two_way_config(mask_generator="mask2former", semantic_backbone="tf_efficientnet_lite0")
