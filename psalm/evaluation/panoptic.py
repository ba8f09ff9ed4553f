"""Panoptic quality (Kirillov et al., 2019): PQ = SQ x RQ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import Task
from psalm.evaluation.figures import mean, mean_over
from psalm.evaluation.label_maps import TrueSegments, true_segments
from psalm.evaluation.predictor import Predictor
from psalm.evaluation.vocabulary import Vocabulary, condition_of

NOTE_VOID = (
    "Unlabelled pixels are void on images that are not labelled exhaustively; on others they count as background."
)

_FIGURES = ("pq", "sq", "rq")


@dataclass
class Counts:
    """Matches of one category: their IoU summed, and true positives, false positives and false negatives."""

    iou: float = 0.0
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __iadd__(self, other: Counts) -> Counts:
        self.iou += other.iou
        self.true_positives += other.true_positives
        self.false_positives += other.false_positives
        self.false_negatives += other.false_negatives
        return self

    def quality(self) -> dict[str, float | None]:
        """PQ, SQ and RQ; None where nothing is there to judge."""
        weight = self.true_positives + (self.false_positives + self.false_negatives) / 2
        if not weight:
            return {"pq": None, "sq": None, "rq": None}
        sq = self.iou / self.true_positives if self.true_positives else 0.0
        return {"pq": self.iou / weight, "sq": sq, "rq": self.true_positives / weight}


class PanopticEvaluation:
    """PQ, SQ and RQ, averaged over categories.

    Parameters
    ----------
    dataset : CocoDataset
    """

    def __init__(self, dataset: CocoDataset) -> None:
        self._dataset = dataset
        self._vocabulary = Vocabulary(dataset)
        self._images: list[ImageEntry] = []
        self._counts: dict[tuple[str, int], Counts] = {}

    def add(self, image: ImageEntry, predictor: Predictor) -> None:
        """Ask about the categories of an image that the predictor has been given."""
        asked = self._vocabulary.of(image)
        if not asked:
            return
        self._images.append(image)
        found = predictor.predict(condition_of(asked), Task.PANOPTIC)
        id_of = {category.name: category.id for category in asked}
        predicted_ids = [id_of[name] for name in found.names]
        truth = true_segments(self._dataset, image)
        for category_id, counts in match(truth, found, predicted_ids, void=not image.exhaustive).items():
            self._counts.setdefault((image.source, category_id), Counts())
            self._counts[image.source, category_id] += counts

    def take(self) -> dict[str, Any]:
        """What has been found since the last call, as plain values; it is forgotten here."""
        rows = [[*key, *vars(counts).values()] for key, counts in self._counts.items()]
        quality = mean(counts.quality()["pq"] for counts in self._counts.values())
        record = {"counts": rows, "asked": bool(self._images), "quality": quality}
        self._counts.clear()
        self._images.clear()
        return record

    def put(self, image: ImageEntry, record: dict[str, Any]) -> None:
        """Count what `take` gave of an image."""
        self._images += [image] if record["asked"] else []
        for source, category_id, *counts in record["counts"]:
            self._counts.setdefault((source, category_id), Counts())
            self._counts[source, category_id] += Counts(*counts)

    def figures(self) -> dict[str, Any]:
        """Overall, per source and per category."""
        per_source = {
            source: self._summary(key for key in self._counts if key[0] == source)
            for source in sorted({source for source, _ in self._counts if source})
        }
        overall = self._summary(self._counts)
        if per_source:
            overall["pq_over_sources"] = mean_over(per_source, "pq")
        per_category = {
            self._dataset.category_of[i].name: self._sum(self._counts, i).quality()
            for i in sorted({category_id for _, category_id in self._counts})
        }
        notes = [NOTE_VOID, *self._vocabulary.notes(self._images)]
        return {"overall": overall, "per_source": per_source, "per_category": per_category, "notes": notes}

    def _sum(self, keys: Iterable[tuple[str, int]], category_id: int) -> Counts:
        total = Counts()
        for key in keys:
            if key[1] == category_id:
                total += self._counts[key]
        return total

    def _summary(self, keys: Iterable[tuple[str, int]]) -> dict[str, Any]:
        keys = list(keys)
        counts = {category_id: self._sum(keys, category_id) for _, category_id in keys}
        return panoptic_figures(counts, {i: self._dataset.category_of[i].is_thing for i in counts})


def panoptic_figures(counts: Mapping[int, Counts], is_thing: Mapping[int, bool]) -> dict[str, Any]:
    """PQ, SQ and RQ, averaged over the categories with anything to judge: over all, over things and over stuff.

    Parameters
    ----------
    counts : mapping of category to Counts
        Of all images.
    is_thing : mapping of category to bool
    """
    quality = {i: each.quality() for i, each in counts.items()}
    groups = {"": list(quality), "_things": [i for i in quality if is_thing[i]]}
    groups["_stuff"] = [i for i in quality if not is_thing[i]]
    figures = {
        f"{name}{group}": mean(quality[i][name] for i in ids) for group, ids in groups.items() for name in _FIGURES
    }
    return {"categories": sum(q["pq"] is not None for q in quality.values()), **figures}


def match(truth: TrueSegments, found: Annotations, predicted_ids: list[int], void: bool) -> dict[int, Counts]:
    """Match the segments of one image, category by category.

    Parameters
    ----------
    truth : TrueSegments
    found : Annotations
        Predicted segments; where they overlap the better score counts.
    predicted_ids : list of int
        The category id in the truth's numbering, per predicted segment.
    void : bool
        Whether unlabelled pixels are neither right nor wrong.
    """
    predicted = found.to_labels().astype(np.int64)
    pixels = _shared_pixels(truth.segments, predicted, len(truth.category_ids), len(found))
    true_area, area, shared = pixels.sum(axis=1)[1:], pixels.sum(axis=0)[1:], pixels[1:, 1:]
    unlabelled = pixels[0, 1:] if void else np.zeros_like(area)
    true_ids, ids = np.array(truth.category_ids, dtype=np.int64), np.array(predicted_ids, dtype=np.int64)
    crowd, same = np.array(truth.is_crowd, dtype=bool), true_ids[:, None] == ids
    iou = shared / np.maximum(true_area[:, None] + area - shared - unlabelled, 1)
    # Segments do not overlap, so at most one of each side can exceed one half.
    hits = (iou > 0.5) & same & ~crowd[:, None]
    ignored = unlabelled + (shared * (same & crowd[:, None])).sum(axis=0) > area / 2
    missed = (true_area > 0) & ~crowd & ~hits.any(axis=1)
    wrong = (area > 0) & ~hits.any(axis=0) & ~ignored
    return {
        int(i): Counts(
            float(iou[hits & (true_ids == i)[:, None]].sum()),
            int(hits[true_ids == i].sum()),
            int(wrong[ids == i].sum()),
            int(missed[true_ids == i].sum()),
        )
        for i in {*true_ids.tolist(), *ids.tolist()}
    }


def _shared_pixels(
    truth: NDArray[np.int32], predicted: NDArray[np.int64], num_true: int, num_predicted: int
) -> NDArray[np.int64]:
    """How many pixels each true and each predicted segment share, (num_true + 1, num_predicted + 1); 0 is neither."""
    pairs = truth.astype(np.int64) * (num_predicted + 1) + predicted
    counts = np.bincount(pairs.ravel(), minlength=(num_true + 1) * (num_predicted + 1))
    return counts.reshape(num_true + 1, num_predicted + 1)
