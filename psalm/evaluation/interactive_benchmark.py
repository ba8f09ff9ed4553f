"""COCO-Interactive: mIoU and cIoU for each kind of prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import RegionKind, Task, VisualPriorCondition
from psalm.data.interactive import KINDS, CocoInteractive
from psalm.errors import ConditionError
from psalm.evaluation.benchmark import ImageBenchmark, Item, Question, Record
from psalm.evaluation.figures import Overlap, cumulative_iou, mean, mean_over, share_above


class InteractiveBenchmark(ImageBenchmark):
    """Every object of every image by its prompts.

    Parameters
    ----------
    split : str
    reader : CocoInteractive
    kinds : sequence of {"point", "scribble", "box", "mask"}
        Kinds of prompts that are asked, each on its own.
    at_once : int, optional
        At most so many regions in one prompt; all of an image when not given, as published.

    Raises
    ------
    ConditionError
        When a kind is unknown or `at_once` is below 1.
    """

    def __init__(
        self,
        split: str,
        reader: CocoInteractive,
        kinds: Sequence[RegionKind] = KINDS,
        at_once: int | None = None,
    ) -> None:
        unknown = set(kinds) - set(KINDS)
        if unknown or not kinds:
            raise ConditionError(f"There is no prompt {sorted(unknown)}: choose among {', '.join(KINDS)}.")
        if at_once is not None and at_once < 1:
            raise ConditionError(f"at_once is {at_once}: give at least 1 region per prompt.")
        self.name, self.split, self.reader = "coco-interactive", split, reader
        self.settings = {"kinds": list(kinds), "at_once": at_once}
        self._kinds, self._at_once = tuple(kinds), at_once

    def __len__(self) -> int:
        return len(self.reader)

    def item(self, index: int) -> Item:
        objects = self.reader.masks(index)
        questions, truth, unasked = [], [], {}
        for kind in self._kinds:
            regions = self.reader.prompts(index, kind)
            there = np.flatnonzero(regions.any(axis=(1, 2)) & objects.any(axis=(1, 2)))
            unasked[kind] = len(objects) - len(there)
            step = self._at_once or max(len(there), 1)
            for start in range(0, len(there), step):
                part = there[start : start + step]
                questions.append(Question(_condition(regions[part], kind), Task.INTERACTIVE))
                truth.append((kind, objects[part]))
        return Item(self.reader.image(index), tuple(questions), (truth, unasked))

    def measure(self, item: Item, answers: Sequence[Annotations]) -> Record:
        truth, unasked = item.truth
        rows: dict[str, list[list[int]]] = {kind: [] for kind in self._kinds}
        for question, (kind, objects), found in zip(item.questions, truth, answers, strict=True):
            for answer, mask in zip(_answers(question, found, objects), objects, strict=True):
                overlap = Overlap.of(answer, mask)
                rows[kind].append([overlap.intersection, overlap.union])
        quality = mean(Overlap(both, either).iou for group in rows.values() for both, either in group)
        return {"overlaps": rows, "unasked": unasked, "quality": quality}

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        per_prompt: dict[str, Any] = {
            kind: _figures([Overlap(*row) for record in records for row in record["overlaps"][kind]])
            for kind in self._kinds
        }
        unasked = {kind: sum(record["unasked"][kind] for record in records) for kind in self._kinds}
        overall = {
            "images": len(records),
            "miou": mean_over(per_prompt, "miou"),
            "ciou": mean_over(per_prompt, "ciou"),
        }
        notes = ["The overall figures are means over the kinds of prompts."] if len(self._kinds) > 1 else []
        notes += [
            f"{n} objects have no {kind}: they are too small for one, and were not asked for."
            for kind, n in unasked.items()
            if n
        ]
        return {"overall": overall, "per_prompt": per_prompt, "notes": notes}

    def masks(self, item: Item, answers: Sequence[Annotations]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
        truth, _ = item.truth
        kind, objects = truth[0]
        found = np.stack(_answers(item.questions[0], answers[0], objects))
        return objects, found, f"{kind} of {len(objects)} objects"


def _condition(regions: NDArray[np.bool_], kind: RegionKind) -> VisualPriorCondition:
    return VisualPriorCondition(regions, (kind,) * len(regions))


def _answers(question: Question, found: Annotations, objects: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The answer to each region; empty where there is none."""
    from psalm.decoding import prompt_texts

    by_prompt = dict(zip(found.prompts, found.masks, strict=True))
    return [by_prompt.get(text, np.zeros_like(objects[0])) for text in prompt_texts(question.condition)]


def _figures(overlaps: Sequence[Overlap]) -> dict[str, Any]:
    return {
        "objects": len(overlaps),
        "miou": mean(overlap.iou for overlap in overlaps),
        "ciou": cumulative_iou(overlaps),
        "iou_at_least_50": share_above(overlaps),
    }
