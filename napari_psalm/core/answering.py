"""Questions answered by the model, in the worker thread: loads it on first use, encodes each image once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.deciding import Found, decide, to_labels
from napari_psalm.core.kept import Kept, keep
from napari_psalm.core.limits import ClassLimits, Limits, model_limits, preferred_limits
from napari_psalm.core.predictors import Predictor
from napari_psalm.core.questions import Question, digest
from napari_psalm.core.runner import Job
from psalm.conditions import Task

_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Answer:
    """What came of a question.

    Parameters
    ----------
    kept : Kept
        To decide on objects anew.
    limits : ClassLimits
        With which the objects were decided.
    found : list of Found
        The objects.
    labels : (H, W) array of int
        Object i has the value i + 1, on the grid of what the model saw.
    model : str
        Name of the model.
    weights : str
        Hash of its weights; empty where the predictor does not know it.
    usual : Limits
        What suits the model and the preferences.
    tokens : (int, int)
        How many mask tokens a class list used, of how many; (0, 0) for other questions.
    """

    kept: Kept
    limits: ClassLimits
    found: list[Found]
    labels: NDArray[np.uint32]
    model: str = ""
    weights: str = ""
    usual: Limits = field(default_factory=Limits)
    tokens: tuple[int, int] = (0, 0)

    @property
    def warning(self) -> str:
        """What to do when nearly all mask tokens are used; empty otherwise."""
        used, limit = self.tokens
        if used < _NEARLY_ALL * limit or not limit:
            return ""
        return f"{used} of {limit} mask tokens used: zoom in and choose View, or use tiles."


class Answerer:
    """Holds the model and the image that it has encoded.

    Parameters
    ----------
    load : callable
        Makes a predictor from the name or folder of a model.
    """

    def __init__(self, load: Callable[[str], Predictor]) -> None:
        self._load = load
        self.predictor: Predictor | None = None
        self.loaded_name = ""
        self._encoded = b""

    def answer(self, question: Question, model_name: str, job: Job) -> Answer:
        """Runs in the worker thread: touches no layer, only arrays."""
        predictor = self._ready(model_name, job)
        job.step("Reading the image …")
        pixels = question.seen.read()
        key = digest(pixels)
        if key != self._encoded:
            job.step("Looking at the image …")
            self._encoded = b""
            predictor.set_image(pixels)
            self._encoded = key
        job.step("Finding objects …")
        task = question.request.task
        proposals = predictor.predict_proposals(question.asked, task)
        kept = keep(proposals, question.condition, task, pixels.shape[:2], predictor, question.excluded)
        usual = preferred_limits(model_limits(predictor.thresholds, task), question.request.preferred)
        limits = question.request.limits or ClassLimits(usual)
        found = decide(kept, limits)
        labels = to_labels(found, kept.masks.shape)
        weights = str(getattr(predictor, "weights_hash", ""))
        tokens = tokens_used(kept, found, predictor.config)
        return Answer(kept, limits, found, labels, self.loaded_name, weights, usual, tokens)

    def _ready(self, name: str, job: Job) -> Predictor:
        if self.predictor is None or self.loaded_name != name:
            job.step(f"Loading the model {Path(name).name} (first use only) …")
            self._encoded = b""
            self.predictor = self._load(name)
            self.loaded_name = name
        return self.predictor


def tokens_used(kept: Kept, found: list[Found], config: Any) -> tuple[int, int]:
    """How many mask tokens a class list used, of how many there are; (0, 0) for other questions."""
    limit = int(getattr(config, "num_mask_tokens", 0))
    if kept.task not in (Task.INSTANCE, Task.PANOPTIC, Task.SEMANTIC):
        return 0, 0
    if config.mask_generator != "two_way":
        return len(found), limit  # the published model uses all its tokens, whatever it finds
    # The small one has a token for each draft; a long class list is asked in parts, about the same drafts.
    return len({logits.tobytes() for logits in kept.masks.logits}), limit
