"""Text after an image: each label is predicted from what stands before it."""

from __future__ import annotations

import pytest
import torch

from psalm.config import PSALMConfig
from psalm.errors import ConfigError
from psalm.modeling.conversation import IGNORE, conversation_logits, expand_labels, next_token_loss
from psalm.modeling.psalm import PSALM
from psalm.prompts import IMAGE


def test_image_tokens_are_not_learned() -> None:
    assert expand_labels([5, IMAGE, 6], [5, IGNORE, 6], 3) == [5, IGNORE, IGNORE, IGNORE, 6]


def test_the_loss_looks_one_token_ahead() -> None:
    logits = torch.full((1, 3, 4), -20.0)
    logits[0, 0, 2] = logits[0, 1, 3] = 20.0
    assert next_token_loss(logits, [[IGNORE, 2, 3]]) < 1e-6
    assert next_token_loss(logits, [[IGNORE, 3, 2]]) > 10


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = PSALM(PSALMConfig.small(decoder_layers=1, pixel_decoder_layers=1)).eval()
    image, texts = torch.randn(2, 9, 64), [[5, IMAGE, 6], [5, IMAGE, 6, 7, 8]]
    with torch.no_grad():
        together, alone = conversation_logits(model, image, texts), conversation_logits(model, image[:1], texts[:1])
    torch.testing.assert_close(together[:1, :11], alone, atol=1e-4, rtol=1e-4)


def test_a_model_without_a_head_for_text_says_so() -> None:
    model = PSALM(PSALMConfig.small(backbone="tiny_vit", mask_generator="two_way"))
    with pytest.raises(ConfigError, match="writes no text"):
        conversation_logits(model, torch.zeros(1, 9, 64), [[1]])
