"""The paper's ablations are switches of the config, and each changes what it says and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from psalm.conditions import CategoryCondition, SentenceCondition, Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.errors import ConfigError
from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.psalm import PSALM
from psalm.prompts import MASK_TOKENS, Prompt, PromptBuilder
from psalm.proposals import MaskProposals
from tests.psalm.modeling.builders import two_way_config

WORDS = ["[UNK]", "[SEG]", "[REF]", "red", "green", "circle", "square", "background"]


def ask(names: tuple[str, ...] = ("red circle",), **changes: Any) -> tuple[list[MaskProposals], Prompt, PSALM]:
    """Proposals of a small model with random weights, always the same, for a class list."""
    torch.manual_seed(0)
    config = PSALMConfig.small(image_size=64, decoder_layers=2, pixel_decoder_layers=1, num_mask_tokens=6, **changes)
    model = PSALM(config).eval()
    prompt = builder(config).build(Task.PANOPTIC, CategoryCondition(names))
    return propose(model, prompt), prompt, model


def propose(model: PSALM, prompt: Prompt, regions: list[Regions] | None = None) -> list[MaskProposals]:
    with torch.no_grad():
        return model.propose(encoded(model), [prompt], regions)


def encoded(model: PSALM) -> ImageFeatures:
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.encode_image(image)


def builder(config: PSALMConfig) -> PromptBuilder:
    words = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PromptBuilder(PreTrainedTokenizerFast(tokenizer_object=words), config)


def masks(**changes: Any) -> list[torch.Tensor]:
    """Final masks for two different class lists."""
    return [ask(names, **changes)[0][-1].mask_logits for names in (("red circle",), ("green square",))]


def test_mask_tokens_after_the_condition_hear_it() -> None:
    one, other = masks()
    assert not torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("change", [{"mask_token_place": "before"}, {"mask_token_path": "direct"}])
def test_mask_tokens_before_the_condition_or_past_the_language_model_do_not(change: dict[str, Any]) -> None:
    one, other = masks(**change)
    assert torch.allclose(one, other, atol=1e-5)
    first, second = (ask(names, **change)[0][-1].condition_logits for names in (("red circle",), ("green square",)))
    assert not torch.allclose(first, second, atol=1e-4)


def test_mask_tokens_before_the_condition_hear_the_image_but_direct_ones_do_not() -> None:
    for place, heard in (("before", True), ("direct", False)):
        change = {"mask_token_path": "direct"} if place == "direct" else {"mask_token_place": "before"}
        _, prompt, model = ask(**change)
        seen: list[torch.Tensor] = []
        model.query_projector.register_forward_hook(lambda module, given, made, seen=seen: seen.append(made))
        for noise in (1, 2):
            image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(noise))
            with torch.no_grad():
                model(image, [prompt])
        assert torch.allclose(*seen, atol=1e-5) is not heard


def test_the_place_of_the_mask_tokens_is_in_the_prompt() -> None:
    for place, early in (("after", False), ("before", True)):
        prompt = ask(mask_token_place=place)[1]
        assert (prompt.token_ids.index(MASK_TOKENS) < prompt.spans[0][0]) is early
        assert MASK_TOKENS not in prompt.prefix


def test_a_prefix_that_was_read_before_changes_nothing() -> None:
    fresh, prompt, model = ask(mask_token_place="before")
    with torch.no_grad():
        features = encoded(model)
        again = model.propose(features, [prompt], prefix=model.read_prefix(features, prompt))
    torch.testing.assert_close(again[-1].mask_logits, fresh[-1].mask_logits, atol=1e-4, rtol=1e-4)


def test_regions_work_before_and_past_the_language_model() -> None:
    drawn = np.zeros((1, 64, 64), bool)
    drawn[0, 8:24, 8:24] = True
    for change in ({"mask_token_place": "before"}, {"mask_token_path": "direct"}):
        model = ask(**change)[2]
        prompt = builder(model.config).build(Task.INTERACTIVE, VisualPriorCondition(drawn, ("box",)))
        proposals = propose(model, prompt, [Regions(torch.from_numpy(drawn), ("box",))])
        assert proposals[-1].condition_logits.shape == (1, 6, 1)


def test_one_mask_token_makes_one_proposal() -> None:
    config = PSALMConfig.small(image_size=64, num_mask_tokens=1)
    prompt = builder(config).build(Task.REFERRING, SentenceCondition("the red circle"))
    assert propose(PSALM(config).eval(), prompt)[-1].mask_logits.shape[:2] == (1, 1)


def test_direct_classification_does_not_look_at_the_masks() -> None:
    decoupled, direct = ask()[0], ask(classification="direct")[0]
    scores = [layer.condition_logits for layer in direct]
    assert all(torch.equal(scores[0], other) for other in scores[1:])
    assert not torch.allclose(decoupled[0].condition_logits, decoupled[-1].condition_logits, atol=1e-4)
    for one, other in zip(decoupled, direct, strict=True):
        assert torch.equal(one.mask_logits, other.mask_logits)


@pytest.mark.parametrize("kind", ["category", "sentence"])
def test_a_condition_is_the_average_of_its_words_or_the_state_of_ref(kind: str) -> None:
    _, _, model = ask(**{f"{kind}_pooling": "ref"})
    condition = CategoryCondition(("red circle",)) if kind == "category" else SentenceCondition("red circle")
    prompt = builder(model.config).build(Task.PANOPTIC if kind == "category" else Task.REFERRING, condition)
    start, stop = prompt.spans[0]
    assert prompt.token_ids[stop - 1] == WORDS.index("[REF]")
    states, sequence = torch.randn(1, 200, 64), PromptSequence(prompt)
    pooled = model.embed_conditions(states, sequence, prompt.kind).embeddings[0, 0]
    projector = model.category_projector if kind == "category" else model.sentence_projector
    torch.testing.assert_close(pooled, projector(states[0, stop - 1]))
    average = ask()[2].embed_conditions(states, sequence, prompt.kind).embeddings[0, 0]
    torch.testing.assert_close(average, getattr(ask()[2], f"{kind}_projector")(states[0, start:stop].mean(0)))


class PromptSequence:
    """Where the conditions of a prompt lie, before anything is put in place of its placeholders."""

    def __init__(self, prompt: Prompt) -> None:
        self.conditions = (prompt.spans,)


def test_the_small_generator_has_no_such_switches() -> None:
    with pytest.raises(ConfigError, match="mask2former"):
        two_way_config(mask_token_path="direct")
