"""A task and a condition as token ids: instruction prompt, condition prompt, mask tokens (PSALM, section 3.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from psalm.conditions import (
    CategoryCondition,
    Condition,
    SentenceCondition,
    Task,
    VisualPriorCondition,
    check_task,
)
from psalm.config import PSALMConfig
from psalm.errors import CheckpointError, ConditionError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ConditionKind = Literal["categories", "sentence", "regions"]

# Stand for what is not text; negative, so that they cannot be meant by a tokenizer.
IMAGE = -200
MASK_TOKENS = -201
REGION = -203

BACKGROUND = "background"

_DRAFTS_PER_REGION = 4  # of the two-way generator

SYSTEM_PROMPT = (
    "<<SYS>>\nYou are a helpful language and vision assistant. You are able to understand the visual content "
    "that the user provides, and assist the user with a variety of tasks using natural language.\n<</SYS>>\n\n"
)
_BEFORE_IMAGE = f"[INST] {SYSTEM_PROMPT}This is an image "
_CATEGORIES = ", Please do Panoptic Segmentation.\nThis is all the candidate categories: "
_SENTENCE = ", Please doing Referring Segmentation according to the following instruction:\n"
_REGIONS = ", Please segment by given regions\nThis is all regions:  "
_AFTER_LIST = ".\n"
_ANSWER = " [/INST] \nSure, the segmentation result is "
_REGION_ANSWER = " [/INST] \n[SEG]"
_AFTER_MASK_TOKENS = " <|endoftext|>"


def template_texts() -> tuple[str, ...]:
    """The fixed texts of every prompt, from which a tokenizer can be made."""
    lists = (_CATEGORIES, _SENTENCE, _REGIONS)
    return (_BEFORE_IMAGE, *lists, _AFTER_LIST, _ANSWER, _REGION_ANSWER, _AFTER_MASK_TOKENS, BACKGROUND)


@dataclass(frozen=True)
class Prompt:
    """What the language model reads, before image, regions and mask tokens are put in place.

    Parameters
    ----------
    token_ids : tuple of int
        Token ids; `IMAGE` and `MASK_TOKENS` stand once each for several embeddings, `REGION` for one.
    spans : tuple of (int, int)
        Start and stop in `token_ids` of each category (background last), sentence or region.
    kind : {"categories", "sentence", "regions"}
    """

    token_ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    kind: ConditionKind

    @property
    def num_conditions(self) -> int:
        """How many condition embeddings the prompt yields; the background counts."""
        return len(self.spans)

    @property
    def prefix(self) -> tuple[int, ...]:
        """The token ids before the first condition and the mask tokens: they depend on image and task only."""
        return self.token_ids[: min(self.spans[0][0], self.token_ids.index(MASK_TOKENS))]

    @property
    def opening(self) -> tuple[int, ...]:
        """The token ids before the image, the same for every image and task."""
        return self.token_ids[: self.token_ids.index(IMAGE)]


class PromptBuilder:
    """Write prompts in the words of the published model.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Must know the token ``[SEG]``; a token ``[REF]`` is used where the config pools at an anchor.
    config : PSALMConfig

    Raises
    ------
    CheckpointError
        When the tokenizer does not know ``[SEG]``.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: PSALMConfig) -> None:
        self._tokenizer = tokenizer
        self._config = config
        vocabulary = tokenizer.get_vocab()
        if "[SEG]" not in vocabulary:
            raise CheckpointError("The tokenizer has no token [SEG]: use the tokenizer saved with the model.")
        self._seg: int = vocabulary["[SEG]"]
        self._ref: int = vocabulary.get("[REF]", self._seg)

    def build(self, task: Task | str, condition: Condition) -> Prompt:
        """Token ids and spans for one image.

        Raises
        ------
        ConditionError
            When task and condition do not fit each other, or the prompt is longer than the model can read.
        """
        check_task(task, condition)
        if isinstance(condition, CategoryCondition):
            prompt = self._categories((*condition.names, BACKGROUND))
        elif isinstance(condition, SentenceCondition):
            prompt = self._sentence(condition.text)
        else:
            prompt = self._regions(len(condition))
        self._check_length(prompt)
        return prompt

    def build_parts(self, task: Task | str, condition: Condition) -> list[Prompt]:
        """The prompt for one image, or several where there are more names or regions than the model reads at once.

        Each part holds an even share of them, in their order; of names also a background of its own. Of parts with
        names `psalm.decoding.merge_parts` makes one answer, and `build_shortlist` the prompt that comes after them; of
        parts with regions `psalm.decoding.join_regions`.

        Raises
        ------
        ConditionError
            As `build`, and when a name alone is too long.
        """
        check_task(task, condition)
        if isinstance(condition, SentenceCondition):
            return [self.build(task, condition)]
        count, prompts = len(condition), []
        at_once = self._config.names_at_once if isinstance(condition, CategoryCondition) else 0
        fewest = math.ceil(count / (at_once or count))
        shares = {math.ceil(count / parts) for parts in range(fewest, count + 1)}
        for share in sorted(shares, reverse=True):
            prompts = [self._part(condition, start, min(start + share, count)) for start in range(0, count, share)]
            if all(sequence_length(prompt, self._config) <= self._config.max_length for prompt in prompts):
                return prompts
        self._check_length(max(prompts, key=lambda prompt: len(prompt.token_ids)))
        return prompts

    def build_shortlist(self, condition: CategoryCondition, ranked: Sequence[int]) -> tuple[Prompt, list[int]]:
        """The prompt for as many names of a long class list as are read at once, and their places in the list.

        Parameters
        ----------
        condition : CategoryCondition
            The whole list; none of its names alone is too long.
        ranked : sequence of int
            Places of the names that matter, better ones first.
        """
        for count in range(min(self._config.names_at_once or len(ranked), len(ranked)), 1, -1):
            chosen = sorted(ranked[:count])
            prompt = self._categories((*(condition.names[i] for i in chosen), BACKGROUND))
            if sequence_length(prompt, self._config) <= self._config.max_length:
                return prompt, chosen
        return self._categories((condition.names[ranked[0]], BACKGROUND)), [ranked[0]]

    def _part(self, condition: CategoryCondition | VisualPriorCondition, start: int, stop: int) -> Prompt:
        if isinstance(condition, CategoryCondition):
            return self._categories((*condition.names[start:stop], BACKGROUND))
        return self._regions(stop - start)

    def _categories(self, names: Sequence[str]) -> Prompt:
        end = self._ref if self._config.category_pooling == "ref" else self._seg
        entries = [[*self._encode(name), end] for name in names]
        return self._assemble(_CATEGORIES, entries, _AFTER_LIST + _ANSWER, "categories")

    def _sentence(self, text: str) -> Prompt:
        end = self._ref if self._config.sentence_pooling == "ref" else self._seg
        # The published model was trained on sentences that begin with a blank and end with a full stop.
        entry = [*self._encode(f" {text.rstrip('.')}."), end]
        return self._assemble(_SENTENCE, [entry], _ANSWER, "sentence")

    def _regions(self, count: int) -> Prompt:
        entries = [[REGION]] * count
        return self._assemble(_REGIONS, entries, _AFTER_LIST + _REGION_ANSWER, "regions")

    def _assemble(self, before: str, entries: Sequence[list[int]], after: str, kind: ConditionKind) -> Prompt:
        # Each piece of text is encoded on its own, as in training: encoding across a border gives other tokens.
        ids = [*self._encode(_BEFORE_IMAGE), IMAGE, *self._encode(before)]
        early = self._config.mask_token_place == "before"
        if early:
            ids.append(MASK_TOKENS)
        comma = self._encode(", ")
        spans = []
        for i, entry in enumerate(entries):
            if i:
                ids += comma
            spans.append((len(ids), len(ids) + len(entry)))
            ids += entry
        ids += [*self._encode(after), *([] if early else [MASK_TOKENS]), *self._encode(_AFTER_MASK_TOKENS)]
        return Prompt(tuple(ids), tuple(spans), kind)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _check_length(self, prompt: Prompt) -> None:
        length, limit = sequence_length(prompt, self._config), self._config.max_length
        if length <= limit:
            return
        cures = {
            "categories": "split the class list into shorter lists",
            "sentence": "use a shorter sentence",
            "regions": "ask for fewer regions at once",
        }
        raise ConditionError(
            f"The prompt is {length} tokens long, but the model reads at most {limit}: {cures[prompt.kind]}."
        )


def sequence_length(prompt: Prompt, config: PSALMConfig) -> int:
    """How many embeddings the language model reads at most, image and mask tokens included."""
    mask_tokens = config.num_mask_tokens
    if config.mask_generator == "two_way" and prompt.kind == "regions":
        mask_tokens = _DRAFTS_PER_REGION * prompt.num_conditions
    return len(prompt.token_ids) - 2 + num_image_tokens(config) + mask_tokens


def num_image_tokens(config: PSALMConfig) -> int:
    """How many embeddings of the language model an image takes."""
    stride = 32 if config.backbone == "swin" else 16
    # The projector halves the coarsest backbone level, then averages.
    side = math.ceil(config.image_size // stride / 2)
    return math.ceil(side / config.image_token_pool) ** 2
