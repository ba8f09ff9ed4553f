"""Panoptic, semantic and instance segmentation of data sets with a class list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations, Category
from psalm.conditions import Task
from psalm.data.class_lists import ClassListReader
from psalm.data.objects import Objects
from psalm.evaluation.average_precision import average_precision, coco_records, mean_ap
from psalm.evaluation.benchmark import ImageBenchmark, Item, Question, Record
from psalm.evaluation.confusion import count_pairs, semantic_figures, semantic_ious
from psalm.evaluation.figures import mean
from psalm.evaluation.label_maps import TrueSegments, paint
from psalm.evaluation.name_list import NameList, Synonyms, name_list
from psalm.evaluation.panoptic import Counts, match, panoptic_figures

NOTE_SYNONYMS = {
    "joined": "The synonyms of a class were one name, commas included.",
    "first": "Of the synonyms of a class only the first was asked.",
    "each": "Every synonym was a name of its own and counted for its class.",
}
LVIS_DETECTIONS = 300


class ClassListBenchmark(ImageBenchmark):
    """What the three tasks share: one class list for all images.

    Parameters
    ----------
    name, split : str
    reader : ClassListReader
    names : sequence of str, optional
        The reader's names with other synonyms.
    synonyms, at_once
        See `psalm.evaluation.name_list.name_list`.
    """

    task: Task

    def __init__(
        self,
        name: str,
        split: str,
        reader: ClassListReader,
        names: Sequence[str] | None = None,
        synonyms: Synonyms = "published",
        at_once: int | None = None,
    ) -> None:
        self.name, self.split, self.reader = name, split, reader
        self.names = tuple(names or reader.names)
        self.settings = {"synonyms": synonyms, "at_once": at_once, "names": list(self.names)}
        classes = np.flatnonzero(reader.is_thing) if self.task is Task.INSTANCE else np.arange(len(self.names))
        self.list: NameList = name_list(self.names, reader.is_thing.tolist(), synonyms, at_once, classes.tolist())
        self._notes = self._describe(synonyms, at_once)

    def __len__(self) -> int:
        return len(self.reader)

    def item(self, index: int) -> Item:
        threshold = 0.0 if self.task is Task.INSTANCE else None
        questions = tuple(Question(condition, self.task, threshold) for condition in self.list.conditions)
        return Item(self.reader.image(index), questions, (index, self.reader.objects(index)))

    def masks(self, item: Item, answers: Sequence[Annotations]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
        _, truth = item.truth
        masks, _, scores = self.list.join(answers)
        seen = scores >= 0.5 if self.task is Task.INSTANCE else np.ones(len(scores), bool)
        named = sorted({self.short(label) for label in truth.labels.tolist()})
        # where masks overlap the last one drawn is seen
        order = np.argsort(scores, kind="stable")
        return truth.masks[~truth.is_crowd], masks[order[seen[order]]], ", ".join(named)

    def short(self, label: int) -> str:
        """The first of a class's names."""
        return self.names[label].split(",")[0].strip()

    def _describe(self, synonyms: Synonyms, at_once: int | None) -> list[str]:
        notes = []
        if any("," in name for name in self.names):
            used = synonyms
            if synonyms == "published":
                used = "joined" if len(self.names) <= 200 else "first"
            notes.append(NOTE_SYNONYMS[used])
        if len(self.list.conditions) > 1:
            notes.append(f"The class list was asked in {len(self.list.conditions)} parts of at most {at_once} names.")
        return notes


class PanopticBenchmark(ClassListBenchmark):
    """PQ, SQ and RQ of all classes, of things and of stuff (Kirillov et al., 2019)."""

    task = Task.PANOPTIC

    def measure(self, item: Item, answers: Sequence[Annotations]) -> Record:
        _, truth = item.truth
        masks, labels, scores = self.list.join(answers)
        masks, labels, scores = _one_per_stuff(masks, labels, scores, self.reader.is_thing)
        categories = tuple(Category(i, name) for i, name in enumerate(self.names))
        found = Annotations(masks, labels, scores, categories)
        counts = match(_segments(truth, self.reader.is_thing), found, labels.tolist(), void=True)
        kept = {label: each for label, each in counts.items() if each.quality()["pq"] is not None}
        return {
            "counts": [
                [label, each.iou, each.true_positives, each.false_positives, each.false_negatives]
                for label, each in sorted(kept.items())
            ],
            "quality": mean(each.quality()["pq"] for each in kept.values()),
        }

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        totals: dict[int, Counts] = {}
        for record in records:
            for label, iou, tp, fp, fn in record["counts"]:
                totals.setdefault(label, Counts())
                totals[label] += Counts(iou, tp, fp, fn)
        overall = panoptic_figures(totals, dict(enumerate(self.reader.is_thing.tolist())))
        per_category = {self.short(label): totals[label].quality() for label in sorted(totals)}
        notes = [*self._notes, "Unlabelled pixels are void."]
        return {"overall": overall, "per_category": per_category, "notes": notes}


class SemanticBenchmark(ClassListBenchmark):
    """mIoU over the classes that occur; unlabelled pixels do not count."""

    task = Task.SEMANTIC

    def measure(self, item: Item, answers: Sequence[Annotations]) -> Record:
        _, truth = item.truth
        masks, labels, scores = self.list.join(answers)
        predicted = np.zeros(item.image.shape[:2], dtype=np.int64)
        for i in np.argsort(scores, kind="stable"):
            predicted[masks[i]] = labels[i] + 1
        true = np.zeros_like(predicted)
        for mask, label in zip(truth.masks, truth.labels, strict=True):  # crowds too: they are of their class
            true[mask] = label + 1
        pairs = count_pairs(true, predicted, true > 0)
        ious = semantic_ious(pairs)
        return {"pixels": [[*pair, n] for pair, n in sorted(pairs.items())], "quality": mean(ious.values())}

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        totals: dict[tuple[int, int], int] = {}
        for record in records:
            for true, predicted, n in record["pixels"]:
                totals[true, predicted] = totals.get((true, predicted), 0) + n
        ious = semantic_ious(totals)
        per_category = {self.short(label - 1): {"iou": iou} for label, iou in sorted(ious.items())}
        notes = [*self._notes, "Unlabelled pixels are left out; classes that do not occur have no IoU."]
        return {"overall": semantic_figures(totals), "per_category": per_category, "notes": notes}


class InstanceBenchmark(ClassListBenchmark):
    """COCO's average precision; of LVIS, where only some classes of each image were looked for, LVIS's."""

    task = Task.INSTANCE

    def measure(self, item: Item, answers: Sequence[Annotations]) -> Record:
        index, truth = item.truth
        masks, labels, scores = self.list.join(answers)
        things = truth.select(self.reader.is_thing[truth.labels])
        categories = tuple(Category(i + 1, name) for i, name in enumerate(self.names))
        checked = self._checked(index, things)
        counted = np.ones(len(labels), bool)
        if checked is not None:
            best = np.argsort(-scores, kind="stable")[:LVIS_DETECTIONS]
            counted = np.isin(labels, sorted(checked)) & np.isin(np.arange(len(labels)), best)
        found = Annotations(masks[counted], labels[counted] + 1, scores[counted], categories)
        real = Annotations(things.masks, things.labels + 1, np.ones(len(things), np.float32), categories)
        records = coco_records(index + 1, real, (things.labels + 1).tolist())
        areas = self._areas(index, truth)
        true = [
            record | {"iscrowd": int(crowd), "area": area}
            for record, crowd, area in zip(records, things.is_crowd, areas, strict=True)
        ]
        return {
            "size": list(item.image.shape[:2]),
            "image_id": index + 1,
            "truth": true,
            "detections": coco_records(index + 1, found, found.category_ids.tolist()),
            "incomplete": sorted(label + 1 for label in self.reader.incomplete(index)),
            "quality": _object_quality(things, found),
        }

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        sizes = [(record["image_id"], *record["size"]) for record in records]
        truth = [each for record in records for each in record["truth"]]
        detections = [each for record in records for each in record["detections"]]
        open_ended = {(record["image_id"], label) for record in records for label in record["incomplete"]}
        frequencies = getattr(self.reader, "frequencies", ())
        most = {"most_detections": LVIS_DETECTIONS} if frequencies else {}
        per_category = average_precision(sizes, truth, detections, ignore_unmatched=open_ended, **most)
        overall: dict[str, Any] = {
            "images": len(records),
            "objects": sum(not each["iscrowd"] for each in truth),
            **mean_ap(per_category),
        }
        for letter, word in (("r", "rare"), ("c", "common"), ("f", "frequent")) if frequencies else ():
            chosen = {label + 1 for label, frequency in enumerate(frequencies) if frequency == letter}
            overall[f"ap_{word}"] = mean_ap(per_category, chosen)["ap"]
        named = {
            self.short(i - 1): {key: ap[key] for key in ("ap", "ap50", "ap75")}
            for i, ap in per_category.items()
            if ap["ap"] is not None
        }
        return {"overall": overall, "per_category": named, "notes": list(self._notes)}

    def _checked(self, index: int, truth: Objects) -> set[int] | None:
        """Classes that an image was checked for; None for all."""
        if not hasattr(self.reader, "absent"):
            return None
        return set(truth.labels.tolist()) | set(self.reader.absent(index))

    def _areas(self, index: int, truth: Objects) -> list[float]:
        areas = self.reader.areas(index) if hasattr(self.reader, "areas") else truth.masks.sum(axis=(1, 2)).tolist()
        return [float(area) for area, label in zip(areas, truth.labels, strict=True) if self.reader.is_thing[label]]


def _segments(truth: Objects, is_thing: NDArray[np.bool_]) -> TrueSegments:
    """The truth as a map: one segment per thing, per crowd and per stuff class."""
    crowds = truth.select(truth.is_crowd)
    rest = truth.merged(is_thing)
    masks = [*rest.masks, *crowds.masks]
    labels = (*rest.labels.tolist(), *crowds.labels.tolist())
    is_crowd = (*[False] * len(rest), *[True] * len(crowds))
    return TrueSegments(paint(masks, truth.masks.shape[1:]), labels, is_crowd)


def _one_per_stuff(
    masks: NDArray[np.bool_], labels: NDArray[np.int64], scores: NDArray[np.float32], is_thing: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float32]]:
    """Stuff of one class as one segment: parts and synonyms of a class list may each have found some of it."""
    keep = is_thing[labels].copy()
    masks = masks.copy()
    scores = scores.copy()
    for label in set(labels[~keep].tolist()):
        same = np.flatnonzero(labels == label)
        masks[same[0]] = masks[same].any(axis=0)
        scores[same[0]] = scores[same].max()
        keep[same[0]] = True
    return masks[keep], labels[keep], scores[keep]


def _object_quality(truth: Objects, found: Annotations, threshold: float = 0.5) -> float | None:
    """Panoptic quality of the objects that a user would see, to rank images by."""
    from pycocotools import mask as coco_mask

    real = truth.select(~truth.is_crowd)
    seen = found.select(np.flatnonzero(found.scores >= threshold))
    if not len(real) and not len(seen):
        return None
    total, hits = 0.0, 0
    for label in set(real.labels.tolist()):
        mine = np.flatnonzero(seen.category_ids == label + 1)
        codes = [_codes(seen.masks[mine]), _codes(real.masks[real.labels == label])]
        ious = np.array(coco_mask.iou(*codes, [0] * len(codes[1])), dtype=float).reshape(len(codes[0]), len(codes[1]))
        while ious.size and ious.max() > 0.5:
            row, column = np.unravel_index(ious.argmax(), ious.shape)
            total, hits = total + float(ious[row, column]), hits + 1
            ious[row], ious[:, column] = 0, 0
    return total / (hits + (len(seen) - hits + len(real) - hits) / 2)


def _codes(masks: NDArray[np.bool_]) -> list[Mapping[str, Any]]:
    from pycocotools import mask as coco_mask

    return coco_mask.encode(np.asfortranarray(np.moveaxis(masks, 0, -1), dtype=np.uint8)) if len(masks) else []
