"""Predictors for tests: they give what they are told to, and can answer alone, in batches and in other processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds, prompt_texts

Found = list[tuple[int, NDArray[np.bool_], float]]  # part of the condition, mask, score


class Answering:
    """Answers with what `answer` says; an image is known by the value of its first pixel.

    Parameters
    ----------
    answer : callable
        (value of the image, condition, task) -> part of the condition, mask and score of each object.
    """

    def __init__(self, answer: Callable[[int, Condition, Task], Found]) -> None:
        self.config = PSALMConfig.small(name="answering")
        self.thresholds = Thresholds()
        self.weights_hash = "0"
        self.asked: list[tuple[int, Condition, Task, dict[str, Any]]] = []
        self.batches: list[int] = []
        self._answer = answer
        self._image = np.zeros((1, 1, 3), np.uint8)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._image = image

    def predict(self, condition: Condition, task: Task, **options: Any) -> Annotations:
        self.batches.append(1)
        return self._ask(self._image, condition, task, options)

    def predict_batch(
        self, images: list[NDArray[np.uint8]], conditions: list[Condition], task: Task, **options: Any
    ) -> list[Annotations]:
        self.batches.append(len(images))
        return [self._ask(image, each, task, options) for image, each in zip(images, conditions, strict=True)]

    def _ask(self, image: NDArray[np.uint8], condition: Condition, task: Task, options: dict[str, Any]) -> Annotations:
        self.asked.append((int(image[0, 0, 0]), condition, task, options))
        found = self._answer(int(image[0, 0, 0]), condition, task)
        least = options.get("score_threshold") or 0.0
        found = [each for each in found if each[2] >= least]
        texts = prompt_texts(condition)
        names = texts if isinstance(condition, CategoryCondition) else ("object",)
        is_list = isinstance(condition, CategoryCondition)
        masks = np.stack([mask for _, mask, _ in found]) if found else np.zeros((0, *image.shape[:2]), bool)
        return Annotations(
            masks,
            [part + 1 if is_list else 1 for part, _, _ in found],
            [score for _, _, score in found],
            tuple(Category(i + 1, name) for i, name in enumerate(names)),
            tuple(texts[part] for part, _, _ in found),
        )


def named(objects: dict[int, list[tuple[str, NDArray[np.bool_], float]]]) -> Answering:
    """Answers class lists with named objects per image."""

    def answer(value: int, condition: Condition, task: Task) -> Found:
        assert isinstance(condition, CategoryCondition)
        names = condition.names
        return [(names.index(name), mask, score) for name, mask, score in objects.get(value, []) if name in names]

    return Answering(answer)


def told(masks: dict[str, list[tuple[NDArray[np.bool_], float]]]) -> Answering:
    """Answers sentences with masks and scores."""

    def answer(value: int, condition: Condition, task: Task) -> Found:
        assert isinstance(condition, SentenceCondition)
        return [(0, mask, score) for mask, score in masks.get(condition.text, [])]

    return Answering(answer)


def echo(device: str | None = None) -> Answering:
    """Answers each region with itself, and leaves the last of several out."""

    def answer(value: int, condition: Any, task: Task) -> Found:
        count = len(condition.masks)
        return [(i, mask, 0.9) for i, mask in enumerate(condition.masks) if count == 1 or i < count - 1]

    return Answering(answer)
