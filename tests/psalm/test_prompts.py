"""Prompts: the published words, and spans that lie on what they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.errors import CheckpointError, ConditionError
from psalm.prompts import IMAGE, MASK_TOKENS, REGION, Prompt, PromptBuilder, sequence_length

SPECIAL = {"[SEG]": 1_000_001, "[REF]": 1_000_002}


class Letters:
    """A tokenizer with one token per character, and the special tokens it is told."""

    def __init__(self, *special: str) -> None:
        self._special = {token: SPECIAL[token] for token in special}

    def get_vocab(self) -> dict[str, int]:
        return self._special

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        for token, token_id in self._special.items():
            text = text.replace(token, chr(token_id % 1000))
        return [1_000_000 + ord(letter) if ord(letter) < 3 else ord(letter) for letter in text]


def text_of(token_ids: tuple[int, ...]) -> str:
    """What `Letters` read, placeholders as the published code writes them."""
    names = {IMAGE: "<image>", MASK_TOKENS: "<seg>", REGION: "<region>"} | {v: k for k, v in SPECIAL.items()}
    return "".join(names.get(token, "") or chr(token) for token in token_ids)


def builder(*special: str, **changes: Any) -> PromptBuilder:
    return PromptBuilder(Letters(*(special or ("[SEG]",))), PSALMConfig.small(**changes))  # type: ignore[arg-type]


def regions(count: int) -> VisualPriorCondition:
    return VisualPriorCondition(np.ones((count, 4, 4), dtype=bool))


def spans_of(prompt: Prompt) -> list[str]:
    return [text_of(prompt.token_ids[start:stop]) for start, stop in prompt.spans]


@pytest.mark.parametrize(
    ("name", "task", "condition", "placeholder"),
    [
        ("panoptic_or_instance_3cls_plus_background", Task.PANOPTIC, CategoryCondition(("a", "b c", "d")), "<cls>"),
        ("referring", Task.REFERRING, SentenceCondition("left dog"), "<refer>"),
        ("region_1", Task.INTERACTIVE, regions(1), "<region>"),
        ("region_3", Task.INTERACTIVE, regions(3), "<region>"),
    ],
)
def test_reads_as_the_published_prompt(
    name: str, task: Task, condition: Condition, placeholder: str, golden: Callable[[str], Path]
) -> None:
    prompt = builder().build(task, condition)
    text, done = "", 0
    for start, stop in prompt.spans:
        text += text_of(prompt.token_ids[done:start]) + placeholder
        done = stop
    text += text_of(prompt.token_ids[done:])
    assert text == json.loads(golden("real_tokenizer_prompts.json").read_text())[name]["prompt"]


def test_spans_hold_names_with_the_background_last() -> None:
    prompt = builder().build("instance", CategoryCondition(("cell", "cell wall")))
    assert spans_of(prompt) == ["cell[SEG]", "cell wall[SEG]", "background[SEG]"]
    assert prompt.num_conditions == 3 and prompt.kind == "categories"


def test_a_sentence_begins_with_a_blank_and_ends_with_one_full_stop() -> None:
    for text in ("left dog", "left dog."):
        assert spans_of(builder().build("referring", SentenceCondition(text))) == [" left dog.[SEG]"]


def test_each_region_is_one_placeholder() -> None:
    assert spans_of(builder().build("interactive", regions(2))) == ["<region>", "<region>"]


def test_an_anchor_takes_the_place_of_seg_where_the_config_says() -> None:
    pooled = builder("[SEG]", "[REF]", category_pooling="ref", sentence_pooling="average")
    assert spans_of(pooled.build("semantic", CategoryCondition(("cell",)))) == ["cell[REF]", "background[REF]"]
    assert spans_of(pooled.build("referring", SentenceCondition("cell"))) == [" cell.[SEG]"]
    without = builder("[SEG]", sentence_pooling="ref")
    assert spans_of(without.build("referring", SentenceCondition("cell"))) == [" cell.[SEG]"]


def test_a_name_cannot_stand_for_a_placeholder() -> None:
    prompt = builder().build("instance", CategoryCondition(("<image>", "<seg>")))
    assert prompt.token_ids.count(IMAGE) == prompt.token_ids.count(MASK_TOKENS) == 1


def test_the_prefix_is_the_same_for_every_condition_of_a_kind() -> None:
    one, other = (builder().build("instance", CategoryCondition(names)) for names in (("cell",), ("dog", "cat")))
    assert one.prefix == other.prefix and IMAGE in one.prefix and MASK_TOKENS not in one.prefix


def test_a_prompt_that_is_too_long_says_the_cure() -> None:
    condition = CategoryCondition(tuple(f"name {i}" for i in range(40)))
    prompt = builder(max_length=2000).build("instance", condition)
    length = sequence_length(prompt, PSALMConfig.small())
    assert length == len(prompt.token_ids) - 2 + 9 + 20
    assert builder(max_length=length).build("instance", condition) == prompt
    with pytest.raises(ConditionError, match="split the class list"):
        builder(max_length=length - 1).build("instance", condition)


def test_task_and_condition_must_fit() -> None:
    with pytest.raises(ConditionError, match="referring"):
        builder().build("referring", CategoryCondition(("cell",)))


def test_a_tokenizer_without_seg_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"\[SEG\]"):
        builder("[REF]")


@pytest.mark.parametrize(("count", "shares"), [(3, [3]), (4, [4]), (5, [3, 2]), (13, [4, 4, 4, 1])])
def test_a_list_of_more_names_than_are_read_at_once_is_split_evenly(count: int, shares: list[int]):
    names = CategoryCondition(tuple(f"n{i}" for i in range(count)))
    parts = builder(names_at_once=4).build_parts("instance", names)
    assert [part.num_conditions - 1 for part in parts] == shares
    named = [span.removesuffix("[SEG]") for part in parts for span in spans_of(part)[:-1]]
    assert named == list(names.names)


def test_a_shortlist_holds_the_best_names_that_are_read_at_once_in_the_order_of_the_list():
    names = CategoryCondition(tuple(f"n{i}" for i in range(9)))
    prompt, chosen = builder(names_at_once=3).build_shortlist(names, [7, 2, 5, 0])
    assert chosen == [2, 5, 7] and prompt == builder().build("instance", CategoryCondition(("n2", "n5", "n7")))
    length = sequence_length(builder().build("instance", CategoryCondition(("n2", "n7"))), PSALMConfig.small())
    assert builder(max_length=length).build_shortlist(names, [7, 2, 5])[1] == [2, 7]
    assert builder(max_length=1).build_shortlist(names, [7, 2])[1] == [7]


def test_more_regions_than_are_read_at_once_are_split_evenly():
    regions = VisualPriorCondition(np.ones((7, 2, 2), dtype=bool))
    length = sequence_length(builder().build("interactive", regions), PSALMConfig.small())
    parts = builder(max_length=length - 1).build_parts("interactive", regions)
    assert [part.num_conditions for part in parts] == [4, 3]
    assert builder(max_length=length).build_parts("interactive", regions) == [builder().build("interactive", regions)]
