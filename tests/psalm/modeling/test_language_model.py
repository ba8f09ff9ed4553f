"""Who sees whom in the language model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from psalm.config import PSALMConfig
from psalm.modeling.input_sequence import InputSequence
from psalm.modeling.language_model import LanguageModel, attention_mask

LENGTH, MASK_TOKENS = 9, (5, 8)


def states(attention: Any, changed: int | None = None, length: int = LENGTH) -> torch.Tensor:
    """Last hidden states of one random sequence, with one embedding changed."""
    torch.manual_seed(0)
    model = LanguageModel(PSALMConfig.small(mask_token_attention=attention)).eval()
    embeddings = torch.randn(1, LENGTH, 64, generator=torch.Generator().manual_seed(1))
    if changed is not None:
        embeddings[0, changed, 0] += 1  # one feature: the norms take out a shift of all
    with torch.no_grad():
        return model(InputSequence(embeddings[:, :length], (length,), (MASK_TOKENS,), ((),)))[0]


def reached(attention: Any, changed: int) -> list[int]:
    """Positions whose state depends on the embedding at `changed`."""
    difference = (states(attention, changed) - states(attention)).abs().amax(dim=1)
    return (difference > 1e-6).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("attention", ["causal", "full"])
def test_text_sees_its_past_only(attention: str) -> None:
    assert reached(attention, 2) == [2, 3, 4, 5, 6, 7, 8]
    assert reached(attention, 8) == [8]


def test_mask_tokens_see_each_other_only_with_full_attention() -> None:
    assert reached("causal", 7) == [7, 8]
    assert reached("full", 7) == [5, 6, 7, 8]
    assert reached("full", 6) == [5, 6, 7, 8]


def test_what_follows_changes_nothing_before() -> None:
    torch.testing.assert_close(states("full", length=8), states("full")[:8])


def test_attention_mask_leaves_out_rows_that_are_known() -> None:
    spans, device = [(1, 3), (2, 4)], torch.device("cpu")
    whole = attention_mask((2, 5), spans, 0, device)
    assert whole.shape == (2, 1, 5, 5)
    assert whole[0, 0, 1].tolist() == [True, True, True, False, False]
    assert whole[1, 0, 1].tolist() == [True, True, False, False, False]
    torch.testing.assert_close(attention_mask((2, 5), spans, 2, device), whole[:, :, 2:])
    assert attention_mask((2, 5), (), 1, device).shape == (1, 1, 4, 5)


def test_lm_head_is_for_the_published_model_only() -> None:
    assert LanguageModel(PSALMConfig.small()).lm_head is not None
    assert LanguageModel(PSALMConfig.small(mask_generator="two_way")).lm_head is None
