"""Evaluate a predictor on a labelled data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np

from psalm.coco import CocoDataset, ImageEntry, read_coco
from psalm.conditions import RegionKind, Task
from psalm.errors import AnnotationError, ConditionError
from psalm.evaluation.coco_file_benchmark import CocoFileBenchmark
from psalm.evaluation.engine import run_benchmark
from psalm.evaluation.predictor import Predictor

Progress = Callable[[int, int], None]
_TABLES = ("overall", "per_source", "per_category", "notes")


def evaluate(
    predictor: Predictor,
    dataset_json: Path | str,
    images_dir: Path | str,
    task: Task | str,
    prompt: RegionKind | None = None,
    split: str | None = None,
    limit: int | None = None,
    refs: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare predictions with the truth of a COCO file.

    Parameters
    ----------
    predictor : PSALMPredictor
    dataset_json : path
        COCO instances file.
    images_dir : path
        Where its file names start.
    task : Task
    prompt : {"point", "scribble", "box", "mask"}, optional
        For interactive: the prompt simulated from each object; a point when not given.
    split : str, optional
        Only images of this split.
    limit : int, optional
        At most this many images, spread evenly over the file.
    refs : path, optional
        For referring: the expressions; ``refs.json`` beside the COCO file when not given.
    progress : callable, optional
        Called with the number of images done and of all images.

    Returns
    -------
    dict
        ``task``, ``images``, ``overall``, ``per_source``, ``per_category`` and ``notes``; plain values for JSON, None
        where there was nothing to judge.

    Raises
    ------
    AnnotationError
        When the data set is not valid, or an image does not have the size that the file says.
    ConditionError
        When the task or prompt is unknown.
    ImageError
        When an image cannot be read.
    """
    benchmark = open_coco_file(dataset_json, images_dir, task, prompt, split, limit, refs)
    result = run_benchmark(benchmark, predictor, progress=progress)
    asked = {"task": benchmark.settings["task"], "prompt": benchmark.settings["prompt"], "split": split}
    return asked | {"images": len(benchmark)} | {key: result[key] for key in _TABLES}


def open_coco_file(
    dataset_json: Path | str,
    images_dir: Path | str,
    task: Task | str,
    prompt: RegionKind | None = None,
    split: str | None = None,
    limit: int | None = None,
    refs: Path | str | None = None,
) -> CocoFileBenchmark:
    """A COCO file as a benchmark; parameters and errors as in `evaluate`."""
    chosen_task = _task(task)
    kind = _prompt_kind(prompt, chosen_task)
    dataset = read_coco(dataset_json)
    images = choose_images(dataset, split, limit)
    refs = refs or Path(dataset_json).with_name("refs.json")
    return CocoFileBenchmark(dataset, images_dir, images, chosen_task, kind, refs, split or "")


def choose_images(dataset: CocoDataset, split: str | None, limit: int | None) -> tuple[ImageEntry, ...]:
    """The images of a split, at most `limit`, spread evenly so that every part of the file is seen."""
    images = dataset.in_split(split)
    if limit is not None and limit < 1:
        raise AnnotationError(f"The limit is {limit} images: give at least 1.")
    if limit is None or limit >= len(images):
        return images
    return tuple(images[i] for i in np.linspace(0, len(images) - 1, limit).round().astype(int))


def _task(task: Task | str) -> Task:
    try:
        return Task(task)
    except ValueError:
        names = ", ".join(member.value for member in Task)
        raise ConditionError(f"There is no task {task!r}: choose one of {names}.") from None


def _prompt_kind(prompt: str | None, task: Task) -> RegionKind | None:
    if task is not Task.INTERACTIVE:
        if prompt is not None:
            raise ConditionError(f"The task {task.value} takes no prompt: leave {prompt!r} out.")
        return None
    for kind in get_args(RegionKind):
        if kind == (prompt or "point"):
            return kind
    raise ConditionError(f"There is no prompt {prompt!r}: choose one of {', '.join(get_args(RegionKind))}.")
