"""Quick figures during training: how good the decoded answers to a few fixed questions are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition, VisualPriorCondition
from psalm.data.sample import Sample
from psalm.decoding import decode, prompt_texts
from psalm.modeling.psalm import PSALM
from psalm.training.collate import Collator
from psalm.training.config import ValidationConfig
from psalm.training.frozen import evaluating
from psalm.training.sources import open_mixtures

_FOUND = 0.5


class Validator:
    """Asks the same questions each time.

    Parameters
    ----------
    settings : ValidationConfig
    collator : Collator
    temper : float
        How sources are drawn; see `TrainConfig`.
    """

    def __init__(self, settings: ValidationConfig, collator: Collator, temper: float = 0.5) -> None:
        mixtures = open_mixtures(settings.data, settings.tasks, temper)
        self.collator = collator
        self._questions = [
            (mixtures[task], number, settings.seed, task)
            for task in settings.tasks
            for number in range(settings.samples)
        ]

    def __call__(self, model: PSALM, autocast: Callable[[], AbstractContextManager[object]]) -> dict[str, float]:
        """Figures by name, as ``interactive/point iou``."""
        scores: dict[str, list[float]] = defaultdict(list)
        with evaluating(model):
            for mixture, number, seed, task in self._questions:
                sample = mixture.sample(number, seed, task)
                with torch.no_grad(), autocast():
                    annotations = self._answer(model, sample)
                for name, value in measure(sample, annotations).items():
                    scores[f"{task.value}/{name}"].extend(value)
        return {name: float(np.mean(values)) if values else 0.0 for name, values in sorted(scores.items())}

    def _answer(self, model: PSALM, sample: Sample) -> Annotations:
        batch = self.collator([sample]).to(next(model.parameters()).device)
        proposals = model(batch.images, batch.prompts, batch.regions)[-1]
        frame = self.collator.transform.frame(sample.image.shape)
        return decode(proposals, sample.task, [sample.condition], [frame], model.config)[0]


def measure(sample: Sample, annotations: Annotations) -> dict[str, list[float]]:
    """Scores of one answer, to be averaged over the samples.

    Interactive: IoU per region, over all and by kind of prompt. Referring: IoU and whether it reaches 0.5. Class lists:
    whether each object was found at IoU 0.5 under its name (recall) and, where the image is labelled exhaustively,
    whether each answer is such an object (precision).
    """
    if isinstance(sample.condition, CategoryCondition):
        return _measure_categories(sample, annotations)
    if isinstance(sample.condition, VisualPriorCondition):
        return _measure_regions(sample, sample.condition, annotations)
    answered, truth = (np.any(masks, axis=0, keepdims=True) for masks in (annotations.masks, sample.masks))
    iou = float(_ious(answered, truth)[0, 0])
    return {"iou": [iou], "found": [float(iou >= _FOUND)]}


def _measure_regions(
    sample: Sample, condition: VisualPriorCondition, annotations: Annotations
) -> dict[str, list[float]]:
    answers = {prompt: i for i, prompt in enumerate(annotations.prompts)}
    texts = prompt_texts(condition)
    scores: dict[str, list[float]] = defaultdict(list)
    ious = _ious(sample.masks, annotations.masks)
    for row, label in enumerate(sample.labels.tolist()):
        answer = answers.get(texts[label])
        iou = 0.0 if answer is None else float(ious[row, answer])
        scores["iou"].append(iou)
        scores[f"{condition.kinds[label]} iou"].append(iou)
    return scores


def _measure_categories(sample: Sample, annotations: Annotations) -> dict[str, list[float]]:
    ious = _ious(annotations.masks, sample.masks)
    same = (annotations.category_ids - 1)[:, None] == sample.labels[None]
    answers, truths = linear_sum_assignment(-ious * same)
    hits = (ious * same)[answers, truths] >= _FOUND
    found, right = np.zeros(len(sample.masks)), np.zeros(len(annotations))
    found[truths[hits]] = 1
    right[answers[hits]] = 1
    scores = {"recall": found.tolist()}
    return scores | {"precision": right.tolist()} if sample.exhaustive else scores


def _ious(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, M) IoU of (N, H, W) and (M, H, W) masks; two empty masks agree."""
    pixels = first.shape[1] * first.shape[2]
    left, right = (masks.reshape(len(masks), pixels).astype(np.float32) for masks in (first, second))
    shared = left @ right.T
    union = left.sum(1)[:, None] + right.sum(1)[None] - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 1.0)
