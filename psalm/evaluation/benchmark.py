"""What the evaluation of any data set has in common: items are asked, each leaves a record, records become figures.

A record holds plain values for JSON and all that the figures need. So a run can be interrupted, shared by several
processes and joined again, and its figures do not depend on how it was run.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import Condition, Task
from psalm.evaluation.predictor import Predictor

Record = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Something to ask about an image.

    Parameters
    ----------
    condition : Condition
    task : Task
    score_threshold : float, optional
        See `psalm.predictor.PSALMPredictor.predict`.
    thresholds : mapping
        Limits of decoding that differ from the predictor's own.
    """

    condition: Condition
    task: Task
    score_threshold: float | None = None
    thresholds: Mapping[str, Any] = field(default_factory=dict)

    def options(self, predictor: Predictor) -> dict[str, Any]:
        """What `predict` is told beside condition and task."""
        options: dict[str, Any] = {}
        if self.score_threshold is not None:
            options["score_threshold"] = self.score_threshold
        if self.thresholds:
            options["thresholds"] = dataclasses.replace(predictor.thresholds, **self.thresholds)
        return options


@dataclass(frozen=True)
class Item:
    """An image with all that is asked of it.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
    questions : tuple of Question
    truth : Any
        What the answers are compared with, as its benchmark keeps it.
    """

    image: NDArray[np.uint8]
    questions: tuple[Question, ...]
    truth: Any


@dataclass(frozen=True)
class Picture:
    """A case to look at.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
    truth, answer : (N, H, W) array of bool
    caption : str
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    answer: NDArray[np.bool_]
    caption: str


class Benchmark(ABC):
    """A data set with the way it is measured.

    Attributes
    ----------
    name, split : str
    settings : dict
        All choices that the figures depend on; plain values.
    """

    name: str
    split: str
    settings: dict[str, Any]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def ask(self, indices: Sequence[int], predictor: Predictor) -> list[Record]:
        """Ask about some items at once; a record each, whose ``quality`` (0 to 1, or None) ranks it for pictures."""

    @abstractmethod
    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        """``overall``, tables that begin with ``per_``, and ``notes``."""

    @abstractmethod
    def picture(self, index: int, predictor: Predictor) -> Picture:
        """Ask about an item once more, to look at it."""


class ImageBenchmark(Benchmark):
    """A benchmark whose items are images, each asked on its own."""

    @abstractmethod
    def item(self, index: int) -> Item:
        """Load item `index`."""

    @abstractmethod
    def measure(self, item: Item, answers: Sequence[Annotations]) -> Record:
        """Compare the answers to an item's questions with the truth."""

    @abstractmethod
    def masks(self, item: Item, answers: Sequence[Annotations]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
        """Truth and answer (N, H, W) as a picture shows them, and what was asked in words."""

    def ask(self, indices: Sequence[int], predictor: Predictor) -> list[Record]:
        items = [self.item(index) for index in indices]
        return [self.measure(item, found) for item, found in zip(items, ask_items(items, predictor), strict=True)]

    def picture(self, index: int, predictor: Predictor) -> Picture:
        item = self.item(index)
        truth, answer, caption = self.masks(item, ask_items([item], predictor)[0])
        return Picture(item.image, truth, answer, caption)


def ask_items(items: Sequence[Item], predictor: Predictor) -> list[list[Annotations]]:
    """The answers to the questions of each item.

    One item is encoded once however much is asked of it. Several are asked together, as many questions at a time as
    there are items, which pays where a batch is faster than its parts.
    """
    if len(items) == 1:
        item = items[0]
        if item.questions:
            predictor.set_image(item.image)
        return [[predictor.predict(q.condition, q.task, **q.options(predictor)) for q in item.questions]]
    answers: list[list[Annotations]] = [[] for _ in items]
    waiting = [(place, question) for place, item in enumerate(items) for question in item.questions]
    while waiting:
        batch = _alike(waiting, len(items))
        images = [items[place].image for place, _ in batch]
        first = batch[0][1]
        conditions = [question.condition for _, question in batch]
        found = predictor.predict_batch(images, conditions, first.task, **first.options(predictor))
        for (place, _), each in zip(batch, found, strict=True):
            answers[place].append(each)
        waiting = waiting[len(batch) :]
    return answers


def _alike(waiting: Sequence[tuple[int, Question]], most: int) -> list[tuple[int, Question]]:
    """The first questions that can share a batch: of one task, decoded in one way."""
    first = waiting[0][1]
    batch = []
    for place, question in waiting[:most]:
        if (question.task, question.score_threshold, question.thresholds) != (
            first.task, first.score_threshold, first.thresholds,
        ):  # fmt: skip
            break
        batch.append((place, question))
    return batch
