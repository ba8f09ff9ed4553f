"""What a process or a machine of a cluster does with the model that it holds."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from psalm.errors import ImageError, UnknownNameWarning, WorkerError
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.records import Item, ModelChoice, ModelFacts, Outcome

_loading = threading.Lock()
_held: dict[tuple[ModelChoice, str], tuple[Labeller, threading.Lock]] = {}


def load(choice: ModelChoice, image_root: Path | str, threads: int | None = None) -> Labeller:
    """Load a model to label the images of a folder.

    Parameters
    ----------
    choice : ModelChoice
    image_root : path
    threads : int, optional
        How many torch may use.

    Raises
    ------
    CheckpointError
        When it cannot be loaded.
    """
    import torch

    from psalm.predictor import PSALMPredictor

    # Whoever starts a run says it once; every worker would say it again.
    warnings.simplefilter("ignore", UnknownNameWarning)
    if threads:
        torch.set_num_threads(threads)
    predictor = PSALMPredictor.from_pretrained(choice.name, device=choice.device, precision=choice.precision)
    return Labeller(predictor, image_root, choice.score_threshold, choice.tiles)


def load_one_of(choice: ModelChoice, image_root: Path | str, count: int, position: int) -> Labeller:
    """As `load`, for one of `count` processes on this machine, which share its cores and take turns with its GPUs."""
    import torch

    if torch.cuda.is_available() and choice.device in (None, "cuda"):
        choice = replace(choice, device=f"cuda:{position % torch.cuda.device_count()}")
    return load(choice, image_root, threads=max((os.cpu_count() or 1) // count, 1))


def facts_of(choice: ModelChoice, image_root: str) -> ModelFacts:
    """What this process would answer with; its model is loaded once and kept."""
    return _labeller(choice, image_root)[0].facts


def label_items(
    choice: ModelChoice, image_root: str, items: Sequence[Item], facts: ModelFacts | None = None
) -> list[Outcome]:
    """Label images, all with the same prompts, with the model that this process holds.

    Threads may call it at once: one reads while another uses the model.

    Raises
    ------
    WorkerError
        When the model is not the one of `facts`.
    ImageError
        When this machine does not see the images' folder.
    CheckpointError
        When it cannot load the model.
    """
    labeller, lock = _labeller(choice, image_root)
    if facts is not None and labeller.facts.weights != facts.weights:
        raise WorkerError(f"A worker has other weights of {choice.name} than the rest: give all the same model.")
    ready = [labeller.read(item) for item in items]
    with lock:
        return labeller.label(ready)


def _labeller(choice: ModelChoice, image_root: str) -> tuple[Labeller, threading.Lock]:
    if not Path(image_root).is_dir():
        raise ImageError(f"A worker sees no folder {image_root}: give it the images under the same path.")
    with _loading:
        if (choice, image_root) not in _held:
            _held[choice, image_root] = load(choice, image_root), threading.Lock()
        return _held[choice, image_root]
