"""What is written down of found objects: what they are, and how they were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.answering import Answer
from napari_psalm.core.deciding import Found
from napari_psalm.core.limits import ClassLimits
from napari_psalm.core.object_facts import FoundObject
from napari_psalm.core.placing import place
from napari_psalm.core.questions import Question, class_of, in_words
from psalm.conditions import CategoryCondition, SentenceCondition


def facts_of(question: Question, found: Sequence[Found]) -> list[FoundObject]:
    """What each object is; what a sentence or a prompt found has the class that the user chose."""
    prompts = in_words(question, [one.part for one in found])
    task = question.origin
    return [
        FoundObject(class_of(question, one.part), one.score, prompt, task)
        for one, prompt in zip(found, prompts, strict=True)
    ]


def recorded_facts(question: Question, answer: Answer) -> list[FoundObject]:
    """The same of an answer that is written, with the model, the prompt and the limits that found each object."""
    facts = facts_of(question, answer.found)
    return [
        FoundObject(
            fact.category,
            fact.score,
            fact.prompt,
            fact.task,
            how={
                "model": answer.model,
                "weights": answer.weights,
                "prompt": prompt_record(question, one.part),
                "thresholds": limit_record(answer.limits, fact.category),
            },
        )
        for one, fact in zip(answer.found, facts, strict=True)
    ]


def prompt_record(question: Question, part: int) -> dict[str, Any]:
    """What one object answers, as the store keeps it; masks are RLEs at the size of the image."""
    condition = question.condition
    if question.request.examples:
        return {}  # examples live in the window alone, so this cannot be asked again
    if isinstance(condition, CategoryCondition):
        return {"kind": "categories", "names": list(condition.names)}
    if isinstance(condition, SentenceCondition):
        return {"kind": "sentence", "text": condition.text}
    marks = question.regions[part].marks
    return {
        "kind": "regions",
        "kinds": [mark.kind for mark in marks],
        "masks": [_rle(mark.mask, question) for mark in marks],
        "excluded": [_rle(mark.mask, question) for mark in question.exclusions],
    }


def limit_record(limits: ClassLimits, name: str) -> dict[str, Any]:
    """The limits that an object of a class met."""
    return asdict(limits.of(name))


def _rle(mask: NDArray[np.bool_], question: Question) -> dict[str, Any]:
    from psalm.cutouts import Cutout

    plane = question.plane
    target, pixels = place(mask.astype(np.uint8), question.seen, plane)
    row, column = target.corner.tolist()
    cutout = Cutout.from_mask(pixels > 0, (row, column))
    size = plane.stack_shape[plane.axes[0]], plane.stack_shape[plane.axes[1]]
    return {"size": list(size), "counts": ""} if cutout is None else cutout.to_rle(size)
