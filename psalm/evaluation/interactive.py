"""One prompt per object: how well does the answer cover it?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import RegionKind, Task
from psalm.data.careful_prompts import simulate_prompts
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

REGIONS_AT_ONCE = 8


class InteractiveEvaluation:
    """IoU of the answer to a simulated prompt, for every object that is no crowd.

    Parameters
    ----------
    dataset : CocoDataset
    kind : {"point", "scribble", "box", "mask"}
    """

    def __init__(self, dataset: CocoDataset, kind: RegionKind) -> None:
        self._dataset = dataset
        self._kind = kind
        self._overlaps: list[Overlap] = []

    def add(self, image: ImageEntry, predictor: Predictor) -> None:
        """Ask about the objects of an image that the predictor has been given."""
        truth = self._dataset.annotations_of(image)
        truth = truth.select(np.flatnonzero(truth.masks.any(axis=(1, 2))))
        for start in range(0, len(truth), REGIONS_AT_ONCE):
            part = truth.select(np.arange(start, min(start + REGIONS_AT_ONCE, len(truth))))
            answers = self._ask(list(part.masks), predictor)
            for answer, mask, name in zip(answers, part.masks, part.names, strict=True):
                self._overlaps.append(Overlap.of(answer, mask, image.source, name))

    def take(self) -> dict[str, Any]:
        """What has been found since the last call, as plain values; it is forgotten here."""
        return take_overlaps(self._overlaps)

    def put(self, image: ImageEntry, record: dict[str, Any]) -> None:
        """Count what `take` gave of an image."""
        self._overlaps += [Overlap(*row) for row in record["overlaps"]]

    def _ask(self, masks: list[NDArray[np.bool_]], predictor: Predictor) -> list[NDArray[np.bool_]]:
        """The answer to each object's prompt; empty where there is none."""
        from psalm.decoding import prompt_texts

        condition = simulate_prompts(masks, self._kind, predictor.config)
        found = predictor.predict(condition, Task.INTERACTIVE)
        by_prompt = dict(zip(found.prompts, found.masks, strict=True))
        return [by_prompt.get(text, np.zeros_like(masks[0])) for text in prompt_texts(condition)]

    def figures(self) -> dict[str, Any]:
        """Overall, per source and per category."""
        per_source = grouped(self._overlaps, lambda o: o.source, _figures)
        overall = _figures(self._overlaps)
        if per_source:
            overall["mean_iou_over_sources"] = mean_over(per_source, "mean_iou")
        per_category = grouped(self._overlaps, lambda o: o.category, _figures)
        return {"overall": overall, "per_source": per_source, "per_category": per_category, "notes": []}


def _figures(overlaps: list[Overlap]) -> dict[str, Any]:
    return {
        "objects": len(overlaps),
        "mean_iou": mean(overlap.iou for overlap in overlaps),
        "ciou": cumulative_iou(overlaps),
        "iou_at_least_50": share_above(overlaps),
    }
