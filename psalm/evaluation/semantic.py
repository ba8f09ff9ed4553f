"""Mean IoU over categories, all pixels counted together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import Task
from psalm.evaluation.figures import mean, mean_over
from psalm.evaluation.label_maps import true_segments
from psalm.evaluation.predictor import Predictor
from psalm.evaluation.vocabulary import Vocabulary, condition_of

NOTE_UNLABELLED = (
    "Unlabelled pixels count against a prediction on images that are labelled exhaustively; on others they are ignored."
)

_Pixels = Counter[tuple[str, int, int]]


class SemanticEvaluation:
    """Intersections and unions of the predicted and true category maps.

    Parameters
    ----------
    dataset : CocoDataset
    """

    def __init__(self, dataset: CocoDataset) -> None:
        self._dataset = dataset
        self._vocabulary = Vocabulary(dataset)
        self._images: list[ImageEntry] = []
        # Pixels by source, true category id and predicted category id; id 0 is unlabelled.
        self._pixels: _Pixels = Counter()

    def add(self, image: ImageEntry, predictor: Predictor) -> None:
        """Ask about the categories of an image that the predictor has been given."""
        asked = self._vocabulary.of(image)
        if not asked:
            return
        self._images.append(image)
        found = predictor.predict(condition_of(asked), Task.SEMANTIC)
        id_of = {category.name: category.id for category in asked}
        predicted = np.zeros(image.size, dtype=np.int64)
        for i in np.argsort(found.scores, kind="stable"):
            predicted[found.masks[i]] = id_of[found.names[i]]
        truth = true_segments(self._dataset, image).categories()
        counted = slice(None) if image.exhaustive else truth > 0
        pairs, counts = np.unique(
            np.stack([truth[counted].ravel(), predicted[counted].ravel()]), axis=1, return_counts=True
        )
        for (true_id, predicted_id), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            self._pixels[image.source, true_id, predicted_id] += count

    def figures(self) -> dict[str, Any]:
        """Overall, per source and per category."""
        sources = sorted({source for source, _, _ in self._pixels if source})
        per_source = {
            source: self._summary(Counter({key: n for key, n in self._pixels.items() if key[0] == source}))
            for source in sources
        }
        overall = self._summary(self._pixels)
        if per_source:
            overall["miou_over_sources"] = mean_over(per_source, "miou")
        names = self._dataset.category_of
        per_category = {names[i].name: {"iou": iou} for i, iou in sorted(_ious(self._pixels).items())}
        notes = [NOTE_UNLABELLED, *self._vocabulary.notes(self._images)]
        return {"overall": overall, "per_source": per_source, "per_category": per_category, "notes": notes}

    def _summary(self, pixels: _Pixels) -> dict[str, Any]:
        ious = _ious(pixels)
        labelled = sum(count for (_, true_id, _), count in pixels.items() if true_id)
        right = sum(
            count for (_, true_id, predicted_id), count in pixels.items() if true_id and true_id == predicted_id
        )
        return {
            "categories": len(ious),
            "miou": mean(ious.values()),
            "pixel_accuracy": right / labelled if labelled else None,
        }


def _ious(pixels: _Pixels) -> dict[int, float]:
    """IoU of each category that occurs in the truth."""
    true: Counter[int] = Counter()
    predicted: Counter[int] = Counter()
    both: Counter[int] = Counter()
    for (_, true_id, predicted_id), count in pixels.items():
        true[true_id] += count
        predicted[predicted_id] += count
        if true_id == predicted_id:
            both[true_id] += count
    return {i: both[i] / (true[i] + predicted[i] - both[i]) for i in true if i}
