"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import SentenceCondition, Task
from psalm.data.references import ReferenceReader
from psalm.errors import ConditionError
from psalm.evaluation.benchmark import ImageBenchmark, Item, Question, Record
from psalm.evaluation.figures import Overlap, cumulative_iou, mean, share_above

Protocol = Literal["published", "paper"]
# The published script takes every mask with a higher score for a target.
TARGET_SCORE = 0.6
NOTES = {
    "published": "As the published script: all sentences of a reference were one prompt.",
    "paper": "As is usual in the field: each sentence was a prompt of its own.",
}
NOTES_TARGETS = {
    "published": "Where no mask scored more than {score:g}, the best one was the answer; so no sentence was rejected.",
    "paper": "Where no mask scored {score:g} or more, the answer was that there is no target.",
}
_LEVELS = (0.5, 0.7, 0.9)


class ReferringBenchmark(ImageBenchmark):
    """cIoU and gIoU; for gRefCOCO also how often the absence of a target is seen.

    An item is an image with all its references.

    Parameters
    ----------
    name, split : str
    reader : ReferenceReader
    protocol : {"published", "paper"}
        published: all sentences of a reference in one prompt, and for gRefCOCO the best mask where none scores enough.
        paper: each sentence on its own, and no target where no mask scores enough.

    Raises
    ------
    ConditionError
        When the protocol is unknown.
    """

    def __init__(self, name: str, split: str, reader: ReferenceReader, protocol: Protocol = "published") -> None:
        if protocol not in get_args(Protocol):
            raise ConditionError(f"There is no protocol {protocol!r}: choose one of {', '.join(get_args(Protocol))}.")
        self.name, self.split, self.reader, self.protocol = name, split, reader, protocol
        self.settings = {"protocol": protocol}
        by_image: dict[int, list[int]] = {}
        for number, reference in enumerate(reader.references):
            by_image.setdefault(reference.image_id, []).append(number)
        self._images = list(by_image.values())

    @property
    def generalised(self) -> bool:
        """Whether targets may be many or none."""
        return self.reader.task is Task.GENERALISED_REFERRING

    def __len__(self) -> int:
        return len(self._images)

    def item(self, index: int) -> Item:
        numbers = self._images[index]
        questions, truth = [], []
        for number in numbers:
            target = self.reader.masks(number).any(axis=0)
            for sentence in self._sentences(number):
                questions.append(self._question(sentence))
                truth.append(target)
        return Item(self.reader.image(numbers[0]), tuple(questions), np.stack(truth))

    def measure(self, item: Item, answers: Sequence[Annotations]) -> Record:
        overlaps = [Overlap.of(_union(found), truth) for found, truth in zip(answers, item.truth, strict=True)]
        return {
            "overlaps": [
                [each.intersection, each.union, int(truth.sum())]
                for each, truth in zip(overlaps, item.truth, strict=True)
            ],
            "quality": mean(each.iou for each in overlaps),
        }

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        rows = [row for record in records for row in record["overlaps"]]
        overlaps = [Overlap(intersection, union) for intersection, union, _ in rows]
        overall: dict[str, Any] = {
            "sentences" if self.protocol == "paper" else "references": len(overlaps),
            "ciou": cumulative_iou(overlaps),
            "giou": mean(overlap.iou for overlap in overlaps),
        }
        notes = [NOTES[self.protocol]]
        if self.generalised:
            overall |= no_target_figures(rows)
            notes.append(NOTES_TARGETS[self.protocol].format(score=TARGET_SCORE))
        else:
            overall |= {f"precision_{round(100 * level)}": share_above(overlaps, level) for level in _LEVELS}
        return {"overall": overall, "notes": notes}

    def masks(self, item: Item, answers: Sequence[Annotations]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
        # One sentence fits a picture: the one whose answer is closest to the image's average.
        ious = [Overlap.of(_union(found), truth).iou for found, truth in zip(answers, item.truth, strict=True)]
        typical = int(np.argmin(np.abs(np.array(ious) - np.mean(ious))))
        condition = item.questions[typical].condition
        text = condition.text if isinstance(condition, SentenceCondition) else ""
        return item.truth[typical : typical + 1], _union(answers[typical])[None], text

    def _sentences(self, number: int) -> tuple[str, ...]:
        reference = self.reader.references[number]
        return (reference.joined,) if self.protocol == "published" else reference.sentences

    def _question(self, sentence: str) -> Question:
        condition = SentenceCondition(sentence)
        if not self.generalised:
            return Question(condition, Task.REFERRING)
        if self.protocol == "published":
            return Question(condition, Task.GENERALISED_REFERRING, thresholds={"score": TARGET_SCORE})
        return Question(condition, Task.GENERALISED_REFERRING, score_threshold=TARGET_SCORE)


def no_target_figures(rows: Sequence[Sequence[int]]) -> dict[str, Any]:
    """How often an answer is rightly empty (N-acc.) and rightly not (T-acc.; Liu et al., 2023).

    Parameters
    ----------
    rows : sequence of (intersection, union, pixels of the truth)
    """
    # The union is the truth alone exactly where the answer adds nothing and, without intersection, is empty.
    empty = [intersection == 0 and union == true for intersection, union, true in rows]
    without = [answer for answer, (_, _, true) in zip(empty, rows, strict=True) if not true]
    with_target = [not answer for answer, (_, _, true) in zip(empty, rows, strict=True) if true]
    return {
        "without_target": len(without),
        "no_target_accuracy": mean(float(right) for right in without),
        "target_accuracy": mean(float(right) for right in with_target),
    }


def _union(found: Annotations) -> NDArray[np.bool_]:
    return np.asarray(found.masks.any(axis=0), dtype=bool)
