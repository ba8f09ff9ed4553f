"""One sentence at a time: does the answer cover what it means?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import SentenceCondition, Task
from psalm.errors import AnnotationError
from psalm.evaluation.figures import (
    Overlap,
    cumulative_iou,
    grouped,
    mean,
    mean_over,
    share_above,
    take_overlaps,
)
from psalm.evaluation.predictor import Predictor


class ReferringEvaluation:
    """cIoU, gIoU and the share of sentences with an IoU of at least 0.5.

    Each sentence is asked on its own. For the task referring, sentences that mean several objects or none are asked as
    generalised referring.

    Parameters
    ----------
    dataset : CocoDataset
    refs : path
        JSON: a list of {image_id, ann_ids, sentences}.
    task : Task
        Referring or generalised referring.

    Raises
    ------
    AnnotationError
        When the file is missing or does not fit the data set.
    """

    def __init__(self, dataset: CocoDataset, refs: Path | str, task: Task = Task.REFERRING) -> None:
        self._dataset = dataset
        self._refs = read_refs(refs, dataset)
        self._task = task
        self._overlaps: list[Overlap] = []

    def add(self, image: ImageEntry, predictor: Predictor) -> None:
        """Ask the sentences about an image that the predictor has been given."""
        annotations = {annotation.id: annotation for annotation in self._dataset.by_image[image.id]}
        for ref in self._refs.get(image.id, []):
            truth = np.zeros(image.size, dtype=bool)
            for annotation_id in ref["ann_ids"]:
                truth |= annotations[annotation_id].mask()
            task = self._task if len(ref["ann_ids"]) == 1 else Task.GENERALISED_REFERRING
            for sentence in ref["sentences"]:
                answer = _union(predictor.predict(SentenceCondition(sentence), task).masks)
                self._overlaps.append(Overlap.of(answer, truth, image.source))

    def take(self) -> dict[str, Any]:
        """What has been found since the last call, as plain values; it is forgotten here."""
        return take_overlaps(self._overlaps)

    def put(self, image: ImageEntry, record: dict[str, Any]) -> None:
        """Count what `take` gave of an image."""
        self._overlaps += [Overlap(*row) for row in record["overlaps"]]

    def figures(self) -> dict[str, Any]:
        """Overall and per source."""
        per_source = grouped(self._overlaps, lambda o: o.source, _figures)
        overall = _figures(self._overlaps)
        if per_source:
            overall["giou_over_sources"] = mean_over(per_source, "giou")
        notes = ["Each sentence was asked on its own; those that mean several objects, as generalised referring."]
        return {"overall": overall, "per_source": per_source, "per_category": {}, "notes": notes}


def read_refs(path: Path | str, dataset: CocoDataset) -> Mapping[int, list[dict[str, Any]]]:
    """Referring expressions by image id.

    Raises
    ------
    AnnotationError
        When the file is missing or damaged, or names an image or object that the data set does not have.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{path} cannot be read ({error}): give the file of referring expressions.") from error
    if not isinstance(content, list):
        raise AnnotationError(f"{path} is no list: give a list of {{image_id, ann_ids, sentences}}.")
    known = {image_id: {a.id for a in found} for image_id, found in dataset.by_image.items()}
    refs: dict[int, list[dict[str, Any]]] = {}
    for position, ref in enumerate(content):
        missing = {"image_id", "ann_ids", "sentences"} - set(ref if isinstance(ref, dict) else ())
        if missing:
            raise AnnotationError(f"{path}: entry {position + 1} has no {', '.join(sorted(missing))}: add it.")
        if not set(ref["ann_ids"]) <= known.get(ref["image_id"], set()):
            raise AnnotationError(
                f"{path}: entry {position + 1} names objects {ref['ann_ids']} that image {ref['image_id']} does not "
                "have: give the refs of this annotation file."
            )
        refs.setdefault(ref["image_id"], []).append(ref)
    return refs


def _union(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(masks.any(axis=0), dtype=bool)


def _figures(overlaps: list[Overlap]) -> dict[str, Any]:
    return {
        "sentences": len(overlaps),
        "ciou": cumulative_iou(overlaps),
        "giou": mean(overlap.iou for overlap in overlaps),
        "iou_at_least_50": share_above(overlaps),
    }
