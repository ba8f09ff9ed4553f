"""The literal prompts and their token ids."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from psalm.conditions import CategoryCondition, Condition, SentenceCondition, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.errors import PSALMError
from psalm.parity.findings import Finding, Findings
from psalm.parity.recorded_prompts import CATEGORY, SENTENCE
from psalm.prompts import REGION, Prompt, PromptBuilder

_PLACEHOLDERS = {"<image>": -200, "<seg>": -201, "<cls>": CATEGORY, "<region>": REGION, "<refer>": SENTENCE}


class RecordedTokenizer:
    """Knows the ids of those pieces of text that the published code has encoded, each on its own.

    Pieces with other borders would get other ids, so any other piece is an error.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self.pieces: dict[str, list[int]] = {}
        for entry in facts.values():
            if isinstance(entry, dict) and {"prompt", "input_ids"} <= set(entry):
                self._learn(entry["prompt"], entry["input_ids"])
        names = facts["class_name_ids"]
        for i, name in enumerate(names["names"]):
            ids = [token for token, place in zip(names["ids"], names["cls_indices"], strict=True) if place == i]
            self.seg = ids[-1]
            self.pieces[name] = ids[:-1]
        for sentence, ids in facts["refer_ids"].items():
            self.pieces[sentence] = ids[:-1]

    def get_vocab(self) -> dict[str, int]:
        """The one token that prompts ask for by name."""
        return {"[SEG]": self.seg}

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """The recorded ids of a piece of text.

        Raises
        ------
        KeyError
            When the published code has not encoded that piece.
        """
        return self.pieces[text]

    def _learn(self, prompt: str, ids: list[int]) -> None:
        texts = re.split("|".join(map(re.escape, _PLACEHOLDERS)), prompt)
        runs: list[list[int]] = [[]]
        for token in ids:
            if token < 0:
                runs.append([])
            else:
                runs[-1].append(token)
        self.pieces |= dict(zip(texts, runs, strict=True))


def compare_prompts(name: str, facts: dict[str, Any]) -> list[Finding]:
    """Our prompts in the published ids, for every kind of condition that is recorded."""
    findings, tokenizer = Findings(name), RecordedTokenizer(facts)
    builder = PromptBuilder(tokenizer, PSALMConfig())  # type: ignore[arg-type]  # all that prompts need of a tokenizer
    names, sentences = facts["class_name_ids"], list(facts["refer_ids"])
    categories = CategoryCondition(names["names"][:-1])
    questions: list[tuple[str, str, Condition, list[int]]] = [
        ("panoptic_or_instance_3cls_plus_background", "panoptic", categories, names["ids"])
    ]
    questions += [("referring", "referring", SentenceCondition(text), facts["refer_ids"][text]) for text in sentences]
    for entry in facts:
        if entry.startswith("region_"):
            regions = VisualPriorCondition(np.ones((facts[entry]["input_ids"].count(REGION), 1, 1), dtype=bool))
            questions.append((entry, "interactive", regions, [REGION] * len(regions)))
    for entry, task, condition, inside in questions:
        if entry in facts:
            try:
                prompt = builder.build(task, condition)
                wrong = _wrong_tokens(prompt, facts[entry]["input_ids"], inside)
            except (KeyError, PSALMError):
                wrong = len(facts[entry]["input_ids"])
            findings.count(f"token ids, {entry}", wrong, "tokens")
    return findings.rows


def _wrong_tokens(prompt: Prompt, recorded: list[int], inside: list[int]) -> int:
    """How many tokens differ, between the conditions and in them."""
    outside: list[int] = []
    conditions: list[int] = []
    done = 0
    for start, stop in prompt.spans:
        outside += prompt.token_ids[done:start]
        conditions += prompt.token_ids[start:stop]
        done = stop
    outside += prompt.token_ids[done:]
    between = [token for token in recorded if token not in (CATEGORY, SENTENCE, REGION)]
    return _differing(outside, between) + _differing(conditions, inside)


def _differing(ours: list[int], theirs: list[int]) -> int:
    if len(ours) != len(theirs):
        return max(len(ours), len(theirs))
    return sum(a != b for a, b in zip(ours, theirs, strict=True))
