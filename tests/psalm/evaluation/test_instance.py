"""Average precision: the numbers of COCOeval on the same files."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from psalm.annotations import Annotations, Category
from psalm.coco import CocoDataset, ImageEntry, read_coco, write_coco
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds
from psalm.evaluation.instance import InstanceEvaluation, count_errors, found_at_threshold

CATEGORIES = (Category(1, "cell"), Category(2, "coin"))
SHAPE = (50, 50)


class Fixed:
    """Answers each image in turn with what it was given."""

    def __init__(self, answers: list[Annotations]) -> None:
        self.config = PSALMConfig.small()
        self.thresholds = Thresholds()
        self._answers = iter(answers)

    def set_image(self, image: object) -> None: ...

    def predict(self, condition, task=None, score_threshold=None) -> Annotations:
        assert score_threshold == 0.0  # precision at every score is wanted
        return next(self._answers)


def random_objects(rng: np.random.Generator, count: int) -> Annotations:
    masks = np.zeros((count, *SHAPE), bool)
    for mask in masks:
        row, column, side = rng.integers(0, 40), rng.integers(0, 40), rng.integers(4, 12)
        mask[row : row + side, column : column + side] = True
    return Annotations(masks, rng.integers(1, 3, count), rng.random(count), CATEGORIES)


def detections_near(rng: np.random.Generator, truth: Annotations) -> Annotations:
    moved = np.stack([np.roll(mask, rng.integers(-2, 3, 2), (0, 1)) for mask in truth.masks])
    wrong = random_objects(rng, 4)
    return Annotations(
        np.concatenate([moved, wrong.masks]),
        np.concatenate([truth.category_ids, wrong.category_ids]),
        rng.random(len(truth) + 4),
        CATEGORIES,
    )


def official(folder: Path, dataset: CocoDataset, entries: list[tuple[ImageEntry, Annotations]]) -> np.ndarray:
    """What pycocotools says of two files, used as its authors show."""
    import json

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    results = json.loads(write_coco(folder / "detections.json", entries).read_text())["annotations"]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(folder / "truth.json")
        run = COCOeval(coco, coco.loadRes(results), "segm")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_pycocotools(tmp_path: Path, seed):
    rng = np.random.default_rng(seed)
    images = [ImageEntry(i + 1, f"{i}.png", *SHAPE) for i in range(4)]
    truth = [random_objects(rng, 6) for _ in images]
    answers = [detections_near(rng, found) for found in truth]
    dataset = read_coco(write_coco(tmp_path / "truth.json", list(zip(images, truth, strict=True))))
    evaluation, predictor = InstanceEvaluation(dataset), Fixed(answers)
    for image in dataset.images:
        evaluation.add(image, predictor)
    overall = evaluation.figures()["overall"]
    stats = official(tmp_path, dataset, list(zip(images, answers, strict=True)))
    assert 0.05 < overall["ap"] < 0.95
    assert [overall["ap"], overall["ap50"], overall["ap75"]] == pytest.approx(list(stats[:3]))


def test_nothing_found_is_zero_and_nothing_to_find_is_none(tmp_path: Path):
    rng = np.random.default_rng(0)
    none = random_objects(rng, 0)
    for truth, expected in ((random_objects(rng, 3), 0.0), (none, None)):
        entries = [(ImageEntry(1, "a.png", *SHAPE), truth)]
        dataset = read_coco(write_coco(tmp_path / "t.json", entries, overwrite=True))
        evaluation = InstanceEvaluation(dataset)
        evaluation.add(dataset.images[0], Fixed([none]))
        overall = evaluation.figures()["overall"]
        assert overall["ap"] == expected and overall["recall50"] == expected and overall["precision50"] is None


def test_what_a_user_sees_at_the_threshold():
    from psalm.coco.rle import encode_mask

    def record(columns: slice, score: float = 1.0, iscrowd: int = 0, category_id: int = 1) -> dict:
        mask = np.zeros((10, 40), bool)
        mask[:, columns] = True
        return {
            "image_id": 1, "category_id": category_id, "segmentation": encode_mask(mask), "score": score,
            "iscrowd": iscrowd,
        }  # fmt: skip

    truth = [record(slice(0, 10)), record(slice(10, 20)), record(slice(30, 40), iscrowd=1)]
    detections = [
        record(slice(0, 10), 0.9),
        record(slice(0, 9), 0.8),  # the same object again
        record(slice(10, 20), 0.3),  # below the threshold
        record(slice(31, 35), 0.7),  # in the crowd
        record(slice(10, 20), 0.6, category_id=2),  # another name
    ]
    figures = found_at_threshold(truth, detections, 0.5)
    assert figures == {"score_threshold": 0.5, "recall50": 0.5, "precision50": pytest.approx(1 / 3)}


def test_an_image_with_more_objects_than_coco_counts_is_noted(tmp_path: Path):
    masks = np.zeros((101, *SHAPE), bool)
    masks[np.arange(101), np.arange(101) // 50, np.arange(101) % 50] = True
    many = Annotations(masks, [1] * 101, [0.9] * 101, CATEGORIES)
    dataset = read_coco(write_coco(tmp_path / "t.json", [(ImageEntry(1, "a.png", *SHAPE), many)]))
    evaluation = InstanceEvaluation(dataset)
    evaluation.add(dataset.images[0], Fixed([many]))
    assert any("more than 100 objects" in note for note in evaluation.figures()["notes"])


def test_the_error_of_a_count_is_a_share_of_the_true_count():
    def records(image: int, category: int, count: int, score: float = 0.9, iscrowd: int = 0) -> list[dict]:
        return [{"image_id": image, "category_id": category, "score": score, "iscrowd": iscrowd}] * count

    truth = [*records(1, 7, 10), *records(2, 7, 4), *records(3, 7, 5, iscrowd=1), *records(2, 8, 2)]
    found = [*records(1, 7, 8), *records(1, 7, 50, score=0.2), *records(2, 7, 6), *records(3, 7, 1)]
    # 2 of 10 missing and 2 beside 4; the crowd does not count; of category 8 nothing was found.
    assert count_errors(truth, found, 0.5) == pytest.approx({7: (0.2 + 0.5) / 2, 8: 1.0})
