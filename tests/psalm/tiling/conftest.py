"""Fields whose truth is known, and a predictor that sees what a real one would see: its tile, and so many objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, Condition, SentenceCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds, prompt_texts

_PRIME = 7368787  # numbers of objects become colours that no mean of two is likely to hit


@dataclass
class Field:
    """An image in which every object has a colour of its own, and its truth as a label image."""

    labels: NDArray[np.int64]

    @property
    def count(self) -> int:
        return int(self.labels.max())

    @property
    def image(self) -> NDArray[np.uint8]:
        code = self.labels * _PRIME % (1 << 24)
        return np.stack([code >> 16 & 255, code >> 8 & 255, code & 255], axis=-1).astype(np.uint8)

    def numbers_in(self, tile: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The label image of a tile, from its colours."""
        code = (tile.astype(np.int64) * (65536, 256, 1)).sum(axis=-1)
        numbers = code * pow(_PRIME, -1, 1 << 24) % (1 << 24)
        return np.where(numbers <= self.count, numbers, 0)


def ellipses(size: tuple[int, int], radius: float, count: int, seed: int = 0, spread: float = 0.25) -> Field:
    """About `count` separate ellipses on a jittered grid, some touching."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(size, dtype=np.int64)
    step = max((size[0] * size[1] / count) ** 0.5, 2.2 * radius)
    number = 0
    for row in np.arange(step / 2, size[0], step):
        for column in np.arange(step / 2, size[1], step):
            centre = np.array([row, column]) + rng.uniform(-1, 1, 2) * max(step / 2 - radius, 0)
            axes = radius * rng.uniform(1 - spread, 1, 2)
            low = np.maximum(np.floor(centre - radius).astype(int), 0)
            high = np.minimum(np.ceil(centre + radius).astype(int) + 1, size)
            grid = np.ogrid[low[0] : high[0], low[1] : high[1]]
            inside = ((grid[0] - centre[0]) / axes[0]) ** 2 + ((grid[1] - centre[1]) / axes[1]) ** 2 <= 1
            part = labels[low[0] : high[0], low[1] : high[1]]
            if inside.sum() > 12 and not part[inside].any():
                number += 1
                part[inside] = number
    return Field(labels)


@dataclass
class FieldPredictor:
    """Finds the objects of a field by their colours: at most `capacity` per tile, the most central ones first.

    With `noise`, outlines are off by a pixel, some objects are overlooked, and slivers at the edge are often invented
    as objects of their own, as a real model has it.
    """

    truth: Field
    capacity: int = 100
    noise: float = 0.0
    seed: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    excluded: list[NDArray[np.bool_] | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = PSALMConfig.small(num_mask_tokens=self.capacity, image_size=256)
        self.thresholds = Thresholds(nms_iou=0.6, inside=0.85)
        self._rng = np.random.default_rng(self.seed)

    def predict_batch(
        self, images: Sequence[NDArray[Any]], condition: Any, task: Any = None, score_threshold: Any = None,
        thresholds: Any = None,
    ) -> list[Annotations]:  # fmt: skip
        conditions = [condition] * len(images) if not isinstance(condition, list) else condition
        return [self._answer(image, each) for image, each in zip(images, conditions, strict=True)]

    def _answer(self, image: NDArray[np.uint8], condition: Condition) -> Annotations:
        self.asked.append(image.shape[:2])
        assert max(image.shape[:2]) <= 2 * self.config.image_size
        numbers = self.truth.numbers_in(image)
        if isinstance(condition, CategoryCondition):
            return self._all(numbers, condition)
        if isinstance(condition, SentenceCondition):
            return _annotations([numbers > 0], [0.9], (condition.text,), (condition.text,))
        self.excluded.append(condition.excluded)
        masks, texts = [], []
        for mask, text in zip(condition.masks, prompt_texts(condition), strict=True):
            under = numbers[mask & (numbers > 0)]
            if len(under):
                masks.append(numbers == np.bincount(under).argmax())
                texts.append(text)
        return _annotations(masks, [0.9] * len(masks), ("object",), tuple(texts), image.shape[:2])

    def _all(self, numbers: NDArray[np.int64], condition: CategoryCondition) -> Annotations:
        found = []
        middle = np.array(numbers.shape) / 2
        for number, box in enumerate(ndimage.find_objects(numbers.astype(np.int32)), 1):
            # Where an image was shrunk, a few pixels of mixed colour look like objects.
            if box is None or np.count_nonzero(numbers[box] == number) < 20:
                continue
            mask = np.zeros(numbers.shape, dtype=bool)
            mask[box] = numbers[box] == number
            centre = np.array([(part.start + part.stop) / 2 for part in box])
            found.append((float(np.abs(centre - middle).max()), mask))
        found = sorted(found, key=lambda entry: entry[0])[: self.capacity]
        masks = [mask for _, mask in found]
        if self.noise:
            masks = [self._disturbed(mask) for mask in masks if self._rng.random() >= self.noise]
        masks = [mask for mask in masks if mask.any()]
        scores = self._rng.uniform(0.7, 0.95, len(masks)) if self.noise else np.full(len(masks), 0.9)
        names = (condition.names[0],)
        return _annotations(masks, scores, names, names * len(masks), numbers.shape)

    def _disturbed(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        change = self._rng.choice(["none", "grown", "shrunk", "shifted"])
        if change == "grown":
            return ndimage.binary_dilation(mask)
        if change == "shrunk":
            return ndimage.binary_erosion(mask, border_value=1)
        return np.roll(mask, 1, axis=int(self._rng.integers(2))) if change == "shifted" else mask


def _annotations(
    masks: list[NDArray[np.bool_]], scores: Any, names: tuple[str, ...], prompts: tuple[str, ...],
    size: tuple[int, ...] = (1, 1),
) -> Annotations:  # fmt: skip
    stack = np.stack(masks) if masks else np.zeros((0, *size), dtype=bool)
    ids = np.ones(len(masks), dtype=np.int64)
    return Annotations(stack, ids, scores, tuple(Category(i + 1, name) for i, name in enumerate(names)), prompts)


@dataclass
class Match:
    """How well found objects meet the true ones."""

    ious: NDArray[np.float64]  # of each true object with its best found one
    found: int

    @property
    def count_error(self) -> float:
        return abs(self.found - len(self.ious)) / len(self.ious)


@pytest.fixture(scope="session")
def compare() -> Callable[[Field, Any], Match]:
    def match(truth: Field, objects: Any) -> Match:
        ious = np.zeros(truth.count)
        areas = np.bincount(truth.labels.ravel(), minlength=truth.count + 1)
        for cutout in objects.cutouts:
            r0, c0, r1, c1 = cutout.box
            shared = np.bincount(truth.labels[r0:r1, c0:c1][cutout.mask()], minlength=truth.count + 1)
            for number in np.flatnonzero(shared[1:]) + 1:
                iou = shared[number] / (areas[number] + cutout.area - shared[number])
                ious[number - 1] = max(ious[number - 1], iou)
        return Match(ious, len(objects))

    return match
