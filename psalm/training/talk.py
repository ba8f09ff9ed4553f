"""Conversations as batches: what is read, and which of its words are learnt (PSALM, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from psalm.config import PSALMConfig
from psalm.data.conversations import IMAGE_TAG, Conversation
from psalm.image_transform import ImageTransform
from psalm.modeling.conversation import IGNORE, conversation_logits, expand_labels, next_token_loss
from psalm.modeling.psalm import PSALM
from psalm.prompts import IMAGE, SYSTEM_PROMPT, num_image_tokens
from psalm.training.config import CONVERSATION, Talk

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_END = "<|endoftext|>"


@dataclass(frozen=True)
class TalkBatch:
    """Conversations, ready for the model.

    Parameters
    ----------
    images : (B, 3, S, S) tensor
    token_ids, labels : tuple of B tuples of int
        As long as each other; labels of what is read but not learnt are `psalm.modeling.conversation.IGNORE`.
    keys : tuple of B str
        Names of the pixels, for cached features.
    """

    images: Tensor
    token_ids: tuple[tuple[int, ...], ...]
    labels: tuple[tuple[int, ...], ...]
    keys: tuple[str, ...]
    task: Talk = CONVERSATION

    def to(self, device: torch.device | str) -> TalkBatch:
        """The same on another device."""
        return replace(self, images=self.images.to(device))


class TalkCollator:
    """Turn conversations into a batch, in the words of the published model.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    config : PSALMConfig
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: PSALMConfig) -> None:
        self._tokenizer = tokenizer
        self._transform = ImageTransform(config)
        self._most = config.max_length - num_image_tokens(config) + 1

    def __call__(self, conversations: Sequence[Conversation]) -> TalkBatch:
        """Transform the images and write the texts."""
        texts = [self.text(conversation) for conversation in conversations]
        return TalkBatch(
            torch.stack([self._transform.image(conversation.image) for conversation in conversations]),
            tuple(ids for ids, _ in texts),
            tuple(labels for _, labels in texts),
            tuple(conversation.key for conversation in conversations),
        )

    def text(self, conversation: Conversation) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Token ids and labels; what the model says is learnt, and what is too long is cut off, as published."""
        ids: list[int] = []
        labels: list[int] = []
        for number, turn in enumerate(conversation.turns):
            if turn.speaker == "model":
                said = self._encode(f" {turn.text} {_END}")
                labels += said
            else:
                opening = f"[INST] {SYSTEM_PROMPT}" if not number else f"{_END}[INST] "
                said = self._with_image(f"{opening}{turn.text} [/INST]")
                labels += [IGNORE] * len(said)
            ids += said
        return tuple(ids[: self._most]), tuple(labels[: self._most])

    def _with_image(self, text: str) -> list[int]:
        before, tag, after = text.partition(IMAGE_TAG)
        return [*self._encode(before), *([IMAGE] if tag else []), *self._encode(after)]

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False)) if text else []


def talk_loss(model: PSALM, image_tokens: Tensor, batch: TalkBatch) -> Tensor:
    """Mean cross entropy of the words that are learnt; `image_tokens` (B, T, lm_hidden) are the projected images."""
    logits = conversation_logits(model, image_tokens, batch.token_ids)
    size = image_tokens.shape[1]
    labels = [expand_labels(ids, own, size) for ids, own in zip(batch.token_ids, batch.labels, strict=True)]
    return next_token_loss(logits, labels)
