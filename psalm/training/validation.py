"""Quick figures during training: how good the decoded answers to a few fixed questions are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition, Task, VisualPriorCondition
from psalm.data.sample import Sample
from psalm.decoding import Thresholds, decode, prompt_texts
from psalm.modeling.features import ImageFeatures
from psalm.modeling.psalm import PSALM
from psalm.training.collate import Batch, Collator
from psalm.training.config import ValidationConfig
from psalm.training.frozen import evaluating
from psalm.training.sources import open_mixtures

Autocast = Callable[[], AbstractContextManager[object]]
Encode = Callable[[Batch], ImageFeatures]

_FOUND = 0.5
_SIDE = 1000  # pixels of a side that suffice to compare masks
_CLEAR = 2.0  # standard errors
_SAME = 0.6  # of two answers about one place the better one counts


@dataclass(frozen=True)
class Look:
    """What one look at the validation's questions found.

    Parameters
    ----------
    figures : dict
        Means over all questions by name, as ``interactive/point iou``.
    images : dict
        The mean of each image's own scores, by its key.
    """

    figures: dict[str, float] = field(default_factory=dict)
    images: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The mean over the images."""
        return float(np.mean(list(self.images.values()))) if self.images else 0.0

    def is_clearly_below(self, other: Look) -> bool:
        """Whether its score is lower by more than chance makes it: by two standard errors over the images."""
        change = np.array([value - other.images[key] for key, value in self.images.items() if key in other.images])
        error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else 0.0
        return bool(len(change) and change.mean() < -_CLEAR * error)


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
        self.collator = collator
        self._settings = settings
        self._mixtures = open_mixtures(settings.data, settings.tasks, temper)

    def __call__(
        self, model: PSALM, autocast: Autocast, encode: Encode | None = None, tasks: Collection[Task] = ()
    ) -> Look:
        """Ask, and measure the answers.

        Parameters
        ----------
        model : PSALM
        autocast : callable
            Context of the forward pass.
        encode : callable, optional
            Features of a batch where they need not come from the model itself.
        tasks : collection of Task
            What is asked; all that the settings name when empty.
        """
        encode = encode or (lambda batch: model.encode_image(batch.images))
        scores, images = defaultdict(list), defaultdict(list)
        with evaluating(model):
            for task in tasks or self._settings.tasks:
                for number in range(self._settings.samples):
                    sample = self._sample(number, task)
                    with torch.no_grad(), autocast():
                        annotations = self._answer(model, sample, encode)
                    for name, values in measure(sample, annotations, model.config.score_threshold).items():
                        scores[f"{task.value}/{name}"].extend(values)
                        images[sample.key].extend(values)
        return Look(_means(scores), _means(images))

    def _sample(self, number: int, task: Task) -> Sample:
        mixture, seed = self._mixtures[task], self._settings.seed
        sample: Sample = (mixture.in_turn if self._settings.in_turn else mixture.sample)(number, seed, task)
        return sample

    def _answer(self, model: PSALM, sample: Sample, encode: Encode) -> Annotations:
        batch = self.collator([sample]).to(next(model.parameters()).device)
        proposals = model.propose(encode(batch), batch.prompts, batch.regions)[-1]
        frame = self.collator.transform.frame(sample.image.shape)
        limits = Thresholds.from_config(model.config)
        if sample.task is Task.INSTANCE:  # every answer is ranked, not only what a user would see
            limits = replace(limits, score=0.0, nms_iou=_SAME)
        return decode(proposals, sample.task, [sample.condition], [frame], limits)[0]


def _means(scores: dict[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) if values else 0.0 for name, values in sorted(scores.items())}


def measure(sample: Sample, annotations: Annotations, threshold: float = 0.0) -> dict[str, list[float]]:
    """Scores of one answer, to be averaged over the samples.

    Interactive: IoU per region, over all and by kind of prompt. Referring: IoU and whether it reaches 0.5. Class lists:
    whether each object was found at IoU 0.5 under its name (recall) by what scores the threshold and, where the image
    is labelled exhaustively, whether each such answer is an object (precision), and the precision among the answers
    that score no less than the one that found an object, without threshold (ap50).
    """
    if isinstance(sample.condition, CategoryCondition):
        return _measure_categories(sample, annotations, threshold)
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


def _measure_categories(sample: Sample, annotations: Annotations, threshold: float) -> dict[str, list[float]]:
    same = (annotations.category_ids - 1)[:, None] == sample.labels[None]
    ious = _ious(annotations.masks, sample.masks) * same
    shown = annotations.scores >= threshold
    answers, truths = linear_sum_assignment(-ious[shown])
    hits = ious[shown][answers, truths] >= _FOUND
    found, right = np.zeros(len(sample.masks)), np.zeros(int(shown.sum()))
    found[truths[hits]] = 1
    right[answers[hits]] = 1
    scores = {"recall": found.tolist()}
    if not sample.exhaustive:
        return scores
    return scores | {"precision": right.tolist(), "ap50": _precision_when_found(ious[np.argsort(-annotations.scores)])}


def _precision_when_found(ious: NDArray[np.float64]) -> list[float]:
    """Of answers (K, N), better scores first: the share of hits up to the one that hit each object, or 0."""
    precision, hits, left = np.zeros(ious.shape[1]), 0, ious.copy()
    for rank, row in enumerate(left, 1):
        best = int(np.argmax(row)) if row.size else 0
        if row.size and row[best] >= _FOUND:
            hits += 1
            precision[best] = hits / rank
            left[:, best] = 0
    return [float(value) for value in precision]


def _ious(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, M) IoU of (N, H, W) and (M, H, W) masks; two empty masks agree.

    Of a large image every so many pixels are compared: a hundred masks in numbers would need gigabytes.
    """
    step = 1 + max(first.shape[1:]) // _SIDE
    first, second = first[:, ::step, ::step], second[:, ::step, ::step]
    pixels = first.shape[1] * first.shape[2]
    left, right = (masks.reshape(len(masks), pixels).astype(np.float32) for masks in (first, second))
    shared = left @ right.T
    union = left.sum(1)[:, None] + right.sum(1)[None] - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 1.0)
