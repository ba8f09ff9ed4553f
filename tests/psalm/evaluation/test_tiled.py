"""Evaluation in tiles: what one look cannot find is found, and records of both ways are never mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from psalm.annotations import Annotations, Category
from psalm.coco import CocoDataset, ImageEntry, read_coco, write_coco
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds
from psalm.evaluation.coco_file_benchmark import CocoFileBenchmark
from psalm.evaluation.engine import identity
from psalm.evaluation.instance import InstanceEvaluation
from psalm.evaluation.tiled import TiledPredictor
from psalm.tiling import TilePlan

SIDE, STEP, MOST = 256, 32, 10
CELL = (Category(1, "cell"),)


class SpotFinder:
    """Finds the first bright spots of an image, `MOST` at a time."""

    def __init__(self) -> None:
        self.config = PSALMConfig.small(num_mask_tokens=MOST, image_size=SIDE)
        self.thresholds = Thresholds()
        self._image = np.zeros((1, 1, 3), np.uint8)

    def set_image(self, image: np.ndarray) -> None:
        self._image = image

    def predict(self, condition, task=None, score_threshold=None, thresholds=None) -> Annotations:
        labels, count = ndimage.label(self._image[..., 0] > 100)
        count = min(count, MOST)
        return Annotations(labels == np.arange(1, count + 1)[:, None, None], np.ones(count), np.full(count, 0.9), CELL)

    def predict_batch(self, images, condition, task=None, score_threshold=None, thresholds=None) -> list[Annotations]:
        answers = []
        for image in images:
            self.set_image(image)
            answers.append(self.predict(condition))
        return answers


@pytest.fixture
def spots() -> np.ndarray:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    far = (rows % STEP - STEP // 2) ** 2 + (columns % STEP - STEP // 2) ** 2
    return np.repeat(np.where(far <= 36, 200, 0).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture
def dataset(tmp_path: Path, spots: np.ndarray) -> CocoDataset:
    labels, count = ndimage.label(spots[..., 0] > 100)
    truth = Annotations(labels == np.arange(1, count + 1)[:, None, None], np.ones(count), np.ones(count), CELL)
    return read_coco(write_coco(tmp_path / "truth.json", [(ImageEntry(1, "a.png", SIDE, SIDE), truth)]))


def evaluated(dataset: CocoDataset, predictor: object, image: np.ndarray) -> dict:
    evaluation = InstanceEvaluation(dataset)
    predictor.set_image(image)
    evaluation.add(dataset.images[0], predictor)
    return evaluation.figures()


def test_tiles_find_what_one_look_cannot(dataset, spots):
    whole = evaluated(dataset, SpotFinder(), spots)
    tiled = evaluated(dataset, TiledPredictor(SpotFinder(), TilePlan()), spots)
    every = (SIDE // STEP) ** 2
    assert whole["overall"]["recall50"] == pytest.approx(MOST / every)
    assert whole["per_category"]["cell"]["count_error"] == pytest.approx(1 - MOST / every)
    assert tiled["overall"]["recall50"] == 1 and tiled["overall"]["precision50"] == 1
    assert tiled["per_category"]["cell"]["count_error"] == 0


def test_records_of_tiles_are_their_own(dataset):
    from psalm.conditions import Task

    benchmark = CocoFileBenchmark(dataset, ".", dataset.images, Task.INSTANCE, None, "refs.json")
    predictor = SpotFinder()
    asked = [
        identity(benchmark, p) for p in (predictor, *(TiledPredictor(predictor, TilePlan(size=s)) for s in (64, 96)))
    ]
    assert len({str(each) for each in asked}) == 3
