"""Questions answered by the model, in the worker thread: loads it on first use, encodes each image once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.deciding import Found, decide, to_labels
from napari_psalm.core.examples import Marker, ask_alike
from napari_psalm.core.kept import Kept, keep
from napari_psalm.core.kept_objects import KeptObjects
from napari_psalm.core.limits import ClassLimits, Limits, model_limits, preferred_limits
from napari_psalm.core.predictors import Predictor
from napari_psalm.core.questions import Question, digest
from napari_psalm.core.runner import Job
from napari_psalm.core.tiled_answers import ask_in_tiles
from psalm.conditions import Task
from psalm.tiling.plan import places

_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Answer:
    """What came of a question.

    Parameters
    ----------
    kept : Kept or KeptObjects
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
    note : str
        How the image was looked at, where it was not at once.
    places : int
        How many objects the model can find at once, for a class list; 0 where that sets no limit.
    """

    kept: Kept | KeptObjects
    limits: ClassLimits
    found: list[Found]
    labels: NDArray[np.uint32]
    model: str = ""
    weights: str = ""
    usual: Limits = field(default_factory=Limits)
    tokens: tuple[int, int] = (0, 0)
    note: str = ""
    places: int = 0

    @property
    def crowded(self) -> bool:
        """Whether tiles would find more: from half of its limit on, the model begins to overlook some."""
        return bool(self.warning) or bool(self.places and 2 * len(self.found) >= self.places)

    @property
    def warning(self) -> str:
        """What to do when nearly all mask tokens are used; empty otherwise."""
        used, limit = self.tokens
        if used < _NEARLY_ALL * limit or not limit:
            if not self.places or len(self.found) < _NEARLY_ALL * self.places:
                return ""
            return f"That is about as many as the model finds at once ({self.places}): zoom in, or choose Tiles."
        return f"{used} of {limit} mask tokens used: zoom in and choose View, or choose Tiles."


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
        self._encoded = b""
        self._loaded, self._wish = ("", 0), 0
        self._loading = threading.Lock()
        self._marker = Marker()

    @property
    def loaded_name(self) -> str:
        """The name under which the model was loaded; empty when it is to be loaded anew."""
        name, wish = self._loaded
        return name if wish == self._wish else ""

    def load_anew(self) -> None:
        """Load the model again for the next question, for the preferences are others now; any thread may call it."""
        self._wish += 1

    def answer(self, question: Question, model_name: str, job: Job) -> Answer:
        """Runs in the worker thread: touches no layer, only arrays."""
        predictor = self.ready(model_name, job)
        usual = preferred_limits(model_limits(predictor.thresholds, question.request.task), question.request.preferred)
        limits = question.request.limits or ClassLimits(usual)
        kept: Kept | KeptObjects
        if question.tiled or question.request.examples:
            kept, note = self._ask_for_objects(question, predictor, limits, job)
        else:
            kept, note = self._propose(question, predictor, job), ""
        found = decide(kept, limits)
        tokens = tokens_used(kept, found, predictor.config) if isinstance(kept, Kept) else (0, 0)
        labels = to_labels(found, kept.shape)
        most = places(predictor.config) if tokens[1] and hasattr(predictor.config, "num_seeds") else 0
        weights = str(getattr(predictor, "weights_hash", ""))
        return Answer(kept, limits, found, labels, self._loaded[0], weights, usual, tokens, note, most)

    def ready(self, name: str, job: Job) -> Predictor:
        """The model, loaded where it is not yet; several worker threads may ask for it."""
        with self._loading:
            return self._ready(name, job)

    def _ask_for_objects(
        self, question: Question, predictor: Predictor, limits: ClassLimits, job: Job
    ) -> tuple[KeptObjects, str]:
        """Objects that come finished: of tiles, or by examples."""
        least = min((each.score for each in (limits.overall, *limits.by_class.values())), default=0.0)
        job.step("Finding objects …")

        def tell(done: int, total: int) -> None:
            job.step(f"Looking at tile {min(done + 1, total)} of {total} …")

        if question.request.examples is None:
            return ask_in_tiles(question, predictor, least, tell)
        exemplars = self._marker.mark(question.request.examples, predictor)
        return ask_alike(question, predictor, exemplars, least, tell)

    def _propose(self, question: Question, predictor: Predictor, job: Job) -> Kept:
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
        proposals = predictor.predict_proposals(question.asked(predictor.heeds_exclusions), task)
        return keep(proposals, question.condition, task, pixels.shape[:2], predictor, question.excluded)

    def _ready(self, name: str, job: Job) -> Predictor:
        if self.predictor is None or self.loaded_name != name:
            job.step(f"Loading the model {Path(name).name} (first use only) …")
            self._encoded, self.predictor = b"", None  # two models at once may be too much for the memory
            wish = self._wish
            self.predictor = self._load(name)
            self._loaded = name, wish
        return self.predictor


def tokens_used(kept: Kept, found: list[Found], config: Any) -> tuple[int, int]:
    """How many mask tokens a class list used, of how many there are; (0, 0) for other questions."""
    limit = int(getattr(config, "num_mask_tokens", 0))
    if kept.task not in (Task.INSTANCE, Task.PANOPTIC, Task.SEMANTIC):
        return 0, 0
    if config.mask_generator != "two_way":
        return len(found), limit  # the published model uses all its tokens, whatever it finds
    # The small one has a token for each draft, of which a seed gives several; a long class list is asked in parts,
    # about the same drafts.
    return len({logits.tobytes() for logits in kept.masks.logits}), limit
