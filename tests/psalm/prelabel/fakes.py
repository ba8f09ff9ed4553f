"""A predictor without a network, quick to start in other processes, whose answer depends on the image."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, VisualPriorCondition
from psalm.images import to_rgb8
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.records import Item, ModelChoice, ModelFacts, Outcome

POISON = 13  # an image of this brightness ends the process that asks about it
DEFECT = 14  # on one of this brightness the model fails


@dataclass(frozen=True)
class FakeThresholds:
    score: float = 0.25


@dataclass(frozen=True)
class FakeImage:
    frame: SimpleNamespace
    pixels: NDArray[np.uint8]


@dataclass
class FakePredictor:
    """Finds as many stripes for each name as the first pixel's value modulo 4; a sentence gets the right half.

    Parameters
    ----------
    seconds : float
        What an image takes.
    largest_batch : int
        More images than this do not fit into memory.
    shift : int
        Moves the stripes, as other weights would.
    """

    seconds: float = 0.0
    largest_batch: int = 1000
    weights_hash: str = "0" * 32
    shift: int = 0
    device: str = "cpu"
    batches: list[int] = field(default_factory=list)
    asked: list[float | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        # So many objects that no image is cut for them.
        self.config = SimpleNamespace(name="fake", image_size=32, mask_generator="mask2former", num_mask_tokens=1000)
        self.thresholds = FakeThresholds()

    def prepare(self, image: NDArray[np.uint8]) -> FakeImage:
        pixels = to_rgb8(image)
        return FakeImage(SimpleNamespace(original=pixels.shape[:2]), pixels)

    def predict_each(
        self,
        images: Sequence[FakeImage],
        conditions: Sequence[Condition],
        score_threshold: float | None = None,
    ) -> list[list[Annotations]]:
        if len(images) > self.largest_batch:
            raise MemoryError
        time.sleep(self.seconds * len(images))
        self.batches.append(len(images))
        self.asked.append(score_threshold)
        return [[self._answer(image.pixels, condition) for condition in conditions] for image in images]

    def _answer(self, pixels: NDArray[np.uint8], condition: Condition) -> Annotations:
        value = int(pixels[0, 0, 0])
        if value == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        if value == DEFECT:
            raise RuntimeError("shapes do not fit")
        height, width = pixels.shape[:2]
        if isinstance(condition, VisualPriorCondition):
            names, masks = ["object"] * len(condition), [np.roll(m, self.shift, axis=1) for m in condition.masks]
        elif isinstance(condition, SentenceCondition):
            right = np.zeros((height, width), dtype=bool)
            right[:, width // 2 :] = True
            names, masks = [condition.text], [right]
        else:
            names, masks = self._stripes(value % 4, (height, width), condition)
        unique = list(dict.fromkeys(names))
        categories = tuple(Category(i + 1, name) for i, name in enumerate(unique))
        ids = np.array([unique.index(name) + 1 for name in names], dtype=np.int64)
        scores = np.linspace(0.9, 0.3, len(masks)).astype(np.float32) if masks else np.zeros(0)
        stacked = np.stack(masks) if masks else np.zeros((0, height, width), dtype=bool)
        return Annotations(stacked, ids, scores, categories, tuple(names))

    def _stripes(
        self, number: int, size: tuple[int, int], condition: CategoryCondition
    ) -> tuple[list[str], list[NDArray[np.bool_]]]:
        names, masks = [], []
        for k, name in enumerate(condition.names):
            for i in range(number):
                mask = np.zeros(size, dtype=bool)
                start = (k * number + i) * 4 + self.shift
                mask[k : size[0] - 2, start : start + 3] = True
                if mask.any():
                    names.append(name)
                    masks.append(mask)
        return names, masks


def make_images(folder: Path, number: int, size: tuple[int, int] = (20, 40)) -> Path:
    """Small pictures of different brightness, in two folders."""
    for i in range(number):
        path = folder / ("deep" if i % 3 == 2 else "") / f"image-{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((size[0] + i % 5, size[1]), 20 + i, dtype=np.uint8)).save(path)
    return folder


def load_fake(root: str, seconds: float, position: int) -> Labeller:
    """What a worker process loads."""
    return Labeller(FakePredictor(seconds=seconds), root)  # type: ignore[arg-type]


def cluster_facts(choice: ModelChoice, root: str) -> ModelFacts:
    """What a worker of a cluster says of its model."""
    return load_fake(root, 0.0, 0).facts


def cluster_label(
    choice: ModelChoice, root: str, items: Sequence[Item], facts: ModelFacts | None = None
) -> list[Outcome]:
    """What a worker of a cluster does; the model's name says how long an image takes."""
    labeller = load_fake(root, float(choice.name), 0)
    return labeller.label([labeller.read(item) for item in items])
