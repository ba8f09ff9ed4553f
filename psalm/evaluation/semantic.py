"""Mean IoU over categories, all pixels counted together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import Task
from psalm.evaluation.confusion import count_pairs, semantic_figures, semantic_ious
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
        pairs = count_pairs(truth, predicted, None if image.exhaustive else truth > 0)
        for (true_id, predicted_id), count in pairs.items():
            self._pixels[image.source, true_id, predicted_id] += count

    def take(self) -> dict[str, Any]:
        """What has been found since the last call, as plain values; it is forgotten here."""
        ious = semantic_ious(_merged(self._pixels))
        record = {"pixels": [[*key, n] for key, n in self._pixels.items()], "asked": bool(self._images)}
        self._pixels.clear()
        self._images.clear()
        return record | {"quality": mean(ious.values())}

    def put(self, image: ImageEntry, record: dict[str, Any]) -> None:
        """Count what `take` gave of an image."""
        self._images += [image] if record["asked"] else []
        for source, true_id, predicted_id, count in record["pixels"]:
            self._pixels[source, true_id, predicted_id] += count

    def figures(self) -> dict[str, Any]:
        """Overall, per source and per category."""
        sources = sorted({source for source, _, _ in self._pixels if source})
        per_source = {
            source: semantic_figures(_merged(Counter({key: n for key, n in self._pixels.items() if key[0] == source})))
            for source in sources
        }
        overall = semantic_figures(_merged(self._pixels))
        if per_source:
            overall["miou_over_sources"] = mean_over(per_source, "miou")
        names = self._dataset.category_of
        per_category = {names[i].name: {"iou": iou} for i, iou in sorted(semantic_ious(_merged(self._pixels)).items())}
        notes = [NOTE_UNLABELLED, *self._vocabulary.notes(self._images)]
        return {"overall": overall, "per_source": per_source, "per_category": per_category, "notes": notes}


def _merged(pixels: _Pixels) -> Counter[tuple[int, int]]:
    """The pixels of all sources together."""
    pairs: Counter[tuple[int, int]] = Counter()
    for (_, true_id, predicted_id), count in pixels.items():
        pairs[true_id, predicted_id] += count
    return pairs
