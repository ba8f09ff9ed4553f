"""Average precision of instance masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import Task
from psalm.evaluation.average_precision import MOST_DETECTIONS, average_precision, coco_records
from psalm.evaluation.figures import mean, mean_over
from psalm.evaluation.predictor import Predictor
from psalm.evaluation.vocabulary import Vocabulary, condition_of

NOTE_CROWDED = (
    "{count} images have more than {most} objects of one category; as in COCO, average precision counts at most {most} "
    "detections of a category per image."
)


class InstanceEvaluation:
    """COCO's average precision, and what is found at the model's own score threshold.

    Parameters
    ----------
    dataset : CocoDataset
    """

    def __init__(self, dataset: CocoDataset) -> None:
        self._dataset = dataset
        self._vocabulary = Vocabulary(dataset, things_only=True)
        self._images: list[ImageEntry] = []
        self._truth: list[dict[str, Any]] = []
        self._detections: list[dict[str, Any]] = []
        self._threshold = 0.0

    def add(self, image: ImageEntry, predictor: Predictor) -> None:
        """Ask about the categories of an image that the predictor has been given."""
        asked = self._vocabulary.of(image)
        if not asked:
            return
        self._images.append(image)
        self._threshold = predictor.thresholds.score
        found = predictor.predict(condition_of(asked), Task.INSTANCE, score_threshold=0.0)
        id_of = {category.name: category.id for category in asked}
        ids = [id_of[name] for name in found.names]
        self._detections += coco_records(image.id, found, ids)
        crowd = [a.iscrowd for a in self._dataset.by_image[image.id]]
        truth = self._dataset.annotations_of(image, crowd=True)
        records = coco_records(image.id, truth, truth.category_ids.tolist())
        asked_ids = set(id_of.values())
        self._truth += [
            record | {"iscrowd": int(is_crowd)}
            for record, is_crowd in zip(records, crowd, strict=True)
            if record["category_id"] in asked_ids
        ]

    def take(self) -> dict[str, Any]:
        """What has been found since the last call, as plain values; it is forgotten here."""
        shown = found_at_threshold(self._truth, self._detections, self._threshold)
        sides = [value for value in (shown["recall50"], shown["precision50"]) if value is not None]
        record = {
            "truth": self._truth, "detections": self._detections, "asked": bool(self._images),
            "threshold": self._threshold, "quality": mean(sides) if self._images else None,
        }  # fmt: skip
        self._images, self._truth, self._detections = [], [], []
        return record

    def put(self, image: ImageEntry, record: dict[str, Any]) -> None:
        """Count what `take` gave of an image."""
        self._images += [image] if record["asked"] else []
        self._truth += record["truth"]
        self._detections += record["detections"]
        self._threshold = record["threshold"]

    def found_at(self, threshold: float) -> dict[str, Any]:
        """Recall and precision of all images so far at another score threshold."""
        return found_at_threshold(self._truth, self._detections, threshold)

    def figures(self) -> dict[str, Any]:
        """Overall, per source and per category."""
        overall, per_category = self._evaluate(self._images)
        per_source = {
            source: self._evaluate([image for image in self._images if image.source == source])[0]
            for source in sorted({image.source for image in self._images if image.source})
        }
        if per_source:
            overall["ap_over_sources"] = mean_over(per_source, "ap")
        return {"overall": overall, "per_source": per_source, "per_category": per_category, "notes": self._notes()}

    def _notes(self) -> list[str]:
        crowded = {image_id for (image_id, _), n in _count(self._truth).items() if n > MOST_DETECTIONS}
        notes = self._vocabulary.notes(self._images)
        return notes + ([NOTE_CROWDED.format(count=len(crowded), most=MOST_DETECTIONS)] if crowded else [])

    def _evaluate(self, images: Sequence[ImageEntry]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Figures over some images, and average precision per category."""
        ids = {image.id for image in images}
        truth = [record for record in self._truth if record["image_id"] in ids]
        detections = [record for record in self._detections if record["image_id"] in ids]
        overall: dict[str, Any] = {"images": len(images), "objects": sum(not record["iscrowd"] for record in truth)}
        sizes = [(image.id, image.height, image.width) for image in images]
        coco = average_precision(sizes, truth, detections)
        names = self._dataset.category_of
        miscounted = count_errors(truth, detections, self._threshold)
        per_category = {
            names[i].name: {key: figures[key] for key in ("ap", "ap50", "ap75")} | {"count_error": miscounted.get(i)}
            for i, figures in coco.items()
            if figures["ap"] is not None
        }
        overall |= {key: mean(figures[key] for figures in coco.values()) for key in ("ap", "ap50", "ap75")}
        return overall | found_at_threshold(truth, detections, self._threshold), per_category


def found_at_threshold(
    truth: Sequence[dict[str, Any]], detections: Sequence[dict[str, Any]], threshold: float
) -> dict[str, Any]:
    """Recall and precision at IoU 0.5 of the detections that a user would see.

    Better scores choose first, each the object of its category that it covers best; detections in a crowd do not count.
    """
    from pycocotools import mask as coco_mask

    objects = _by_image_and_category(truth)
    matched = shown = 0
    for key, found in _by_image_and_category(d for d in detections if d["score"] >= threshold).items():
        found.sort(key=lambda record: -record["score"])
        candidates = objects.get(key, [])
        crowd = [record["iscrowd"] for record in candidates]
        codes = [[record["segmentation"] for record in group] for group in (found, candidates)]
        ious = np.array(coco_mask.iou(*codes, crowd)).reshape(len(found), len(candidates))
        free = np.array([not flag for flag in crowd], dtype=bool)
        for row in ious:
            best = int(np.argmax(np.where(free, row, -1.0))) if len(row) else -1
            if best >= 0 and free[best] and row[best] >= 0.5:
                free[best] = False
                matched += 1
                shown += 1
            elif not (row[np.array(crowd, dtype=bool)] >= 0.5).any():
                shown += 1
    real = sum(not record["iscrowd"] for record in truth)
    return {
        "score_threshold": threshold,
        "recall50": matched / real if real else None,
        "precision50": matched / shown if shown else None,
    }


def count_errors(
    truth: Sequence[dict[str, Any]], detections: Sequence[dict[str, Any]], threshold: float
) -> dict[int, float | None]:
    """By how much a user who counts the objects of each category would be wrong, as a share of the true count.

    A mean over the images that have the category; those with a crowd of it cannot be counted.
    """
    found = _count(d for d in detections if d["score"] >= threshold)
    errors: dict[int, list[float]] = {}
    for (image, category), objects in _by_image_and_category(truth).items():
        if not any(record["iscrowd"] for record in objects):
            wrong = abs(found.get((image, category), 0) - len(objects)) / len(objects)
            errors.setdefault(category, []).append(wrong)
    return {category: mean(values) for category, values in errors.items()}


def _by_image_and_category(records: Any) -> dict[tuple[int, int], list[dict[str, Any]]]:
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["image_id"], record["category_id"]), []).append(record)
    return groups


def _count(records: Any) -> dict[tuple[int, int], int]:
    return {key: len(group) for key, group in _by_image_and_category(records).items()}
