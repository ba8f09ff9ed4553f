"""A small labelled data set, and predictors that know the truth or miss it by a known amount."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from psalm.annotations import Annotations, Category
from psalm.coco import CocoDataset, ImageEntry, read_coco
from psalm.coco.rle import encode_mask
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds, prompt_texts
from psalm.evaluation.label_maps import true_segments

SIZE = (40, 60)


def square(row: int, column: int, side: int = 10) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, bool)
    mask[row : row + side, column : column + side] = True
    return mask


def record(number: int, image_id: int, category_id: int, mask: NDArray[np.bool_], iscrowd: int = 0) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": encode_mask(mask),
        "area": int(mask.sum()),
        "iscrowd": iscrowd,
    }


SKY = np.zeros(SIZE, bool)
SKY[:4] = True

CONTENT: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "1.png", "height": 40, "width": 60, "source": "lab", "split": "train"},
        {"id": 2, "file_name": "2.png", "height": 40, "width": 60, "source": "lab", "split": "val"},
        {
            "id": 3,
            "file_name": "3.png",
            "height": 40,
            "width": 60,
            "source": "web",
            "split": "val",
            "exhaustive": False,
        },
    ],
    "categories": [{"id": 4, "name": "cell"}, {"id": 7, "name": "coin"}, {"id": 9, "name": "sky", "isthing": 0}],
    "annotations": [
        record(1, 1, 4, square(5, 5)),
        record(2, 1, 4, square(20, 30)),
        record(3, 1, 9, SKY),
        record(4, 2, 7, square(25, 5)),
        record(5, 3, 4, square(10, 10)),
        record(6, 3, 4, square(10, 40), iscrowd=1),
    ],
}
REFS = [
    {"image_id": 1, "ann_ids": [1], "sentences": ["the left cell", "the upper cell"]},
    {"image_id": 1, "ann_ids": [1, 2], "sentences": ["all the cells"]},
    {"image_id": 2, "ann_ids": [], "sentences": ["the dog"]},
    {"image_id": 3, "ann_ids": [5], "sentences": ["the cell"]},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with coco.json, refs.json and the images; the image's value is its id."""
    (tmp_path / "coco.json").write_text(json.dumps(CONTENT))
    (tmp_path / "refs.json").write_text(json.dumps(REFS))
    for image in CONTENT["images"]:
        Image.fromarray(np.full(SIZE, image["id"], np.uint8)).save(tmp_path / image["file_name"])
    return tmp_path


@pytest.fixture
def dataset(folder: Path) -> CocoDataset:
    return read_coco(folder / "coco.json")


class KnowingPredictor:
    """Answers with the truth, after `change` has been applied to each mask."""

    def __init__(self, dataset: CocoDataset, change: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]) -> None:
        self.config = PSALMConfig.small()
        self.thresholds = Thresholds()
        self.change = change
        self.asked: list[tuple[Task | None, Condition]] = []
        self._dataset = dataset
        self._image: ImageEntry = dataset.images[0]

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._image = next(entry for entry in self._dataset.images if entry.id == image[0, 0, 0])

    def predict(
        self, condition: Condition, task: Task | None = None, score_threshold: float | None = None
    ) -> Annotations:
        self.asked.append((task, condition))
        truth = self._dataset.annotations_of(self._image)
        if isinstance(condition, CategoryCondition):
            return self._objects(condition, truth, task)
        if isinstance(condition, SentenceCondition):
            return self._meant(condition)
        return self._covered(condition, truth)

    def _objects(self, condition: CategoryCondition, truth: Annotations, task: Task | None) -> Annotations:
        pairs = list(zip(truth.names, truth.masks, strict=True))
        if task is Task.SEMANTIC:
            segments = true_segments(self._dataset, self._image).categories()
            present = [c for c in self._dataset.categories if (segments == c.id).any()]
            pairs = [(c.name, segments == c.id) for c in present]
        pairs = [(name, mask) for name, mask in pairs if name in condition.names]
        ids = [condition.names.index(name) + 1 for name, _ in pairs]
        categories = tuple(Category(i + 1, name) for i, name in enumerate(condition.names))
        return self._annotations([mask for _, mask in pairs], ids, categories, [name for name, _ in pairs])

    def _meant(self, condition: SentenceCondition) -> Annotations:
        ids = next(ref["ann_ids"] for ref in REFS if condition.text in ref["sentences"])
        masks = [a.mask() for a in self._dataset.by_image[self._image.id] if a.id in ids]
        union = [np.any(masks, axis=0)] if masks else []
        return self._annotations(union, [1] * len(union), (Category(1, condition.text),), [condition.text] * len(union))

    def _covered(self, condition: VisualPriorCondition, truth: Annotations) -> Annotations:
        best = [truth.masks[np.argmax((truth.masks & region).sum(axis=(1, 2)))] for region in condition.masks]
        return self._annotations(best, [1] * len(best), (Category(1, "object"),), prompt_texts(condition))

    def _annotations(self, masks: list[Any], ids: list[int], categories: Any, prompts: Any) -> Annotations:
        stack = np.stack([self.change(mask) for mask in masks]) if masks else np.zeros((0, *SIZE), bool)
        return Annotations(stack, ids, [0.9] * len(masks), categories, tuple(prompts))


@pytest.fixture
def knowing(dataset: CocoDataset) -> KnowingPredictor:
    return KnowingPredictor(dataset, lambda mask: mask)


@pytest.fixture
def shifted(dataset: CocoDataset) -> KnowingPredictor:
    """Every mask lies two columns too far right: a square of 10 x 10 has IoU 80 / 120."""
    return KnowingPredictor(dataset, lambda mask: np.roll(mask, 2, axis=1))
