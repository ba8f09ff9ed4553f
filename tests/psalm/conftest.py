"""A predictor that knows the answer, for what is built on top of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds, prompt_texts


class FakePredictor:
    """Finds the left half of any image for each name, the right half for a sentence, and a region as it is."""

    def __init__(self) -> None:
        self.config = PSALMConfig.small(name="fake")
        self.info: dict[str, Any] = {}
        self.device = "cpu"
        self.images: list[NDArray[np.uint8]] = []
        self.thresholds = Thresholds()
        self.asked_thresholds: list[float | None] = []

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self.images.append(image)

    def predict(
        self, condition: Condition, task: Task | None = None, score_threshold: float | None = None
    ) -> Annotations:
        self.asked_thresholds.append(score_threshold)
        height, width = self.images[-1].shape[:2]
        left = np.zeros((height, width), dtype=bool)
        left[:, : width // 2] = True
        if isinstance(condition, CategoryCondition):
            return _annotations([left] * len(condition), condition.names)
        if isinstance(condition, SentenceCondition):
            return _annotations([~left], (condition.text,))
        return _annotations(list(condition.masks), ("object",), prompt_texts(condition))


def _annotations(
    masks: list[NDArray[np.bool_]], names: tuple[str, ...], prompts: tuple[str, ...] | None = None
) -> Annotations:
    categories = tuple(Category(i + 1, name) for i, name in enumerate(names))
    scores = np.linspace(0.9, 0.6, len(masks))
    return Annotations(np.stack(masks), np.arange(len(masks)) % len(names) + 1, scores, categories, prompts or names)


@pytest.fixture
def fake_predictor() -> FakePredictor:
    return FakePredictor()
