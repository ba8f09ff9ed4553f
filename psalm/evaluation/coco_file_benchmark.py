"""A COCO file of one's own as a benchmark, so that it can be interrupted, shared and shown like the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import Condition, RegionKind, SentenceCondition, Task
from psalm.errors import AnnotationError
from psalm.evaluation.benchmark import Benchmark, Picture, Record
from psalm.evaluation.instance import InstanceEvaluation
from psalm.evaluation.interactive import InteractiveEvaluation
from psalm.evaluation.panoptic import PanopticEvaluation
from psalm.evaluation.predictor import Predictor
from psalm.evaluation.referring import ReferringEvaluation
from psalm.evaluation.semantic import SemanticEvaluation
from psalm.images import read_image, to_rgb8

if TYPE_CHECKING:
    from psalm.decoding import Thresholds


class Evaluation(Protocol):
    """The evaluation of one task."""

    def add(self, image: ImageEntry, predictor: Predictor) -> None:
        """Ask about an image that the predictor has been given."""

    def take(self) -> Record:
        """What has been found since the last call, as plain values, with its ``quality``; it is forgotten here."""

    def put(self, image: ImageEntry, record: Record) -> None:
        """Count what `take` gave of an image."""

    def figures(self) -> dict[str, Any]:
        """``overall``, ``per_source``, ``per_category`` and ``notes``."""


class CocoFileBenchmark(Benchmark):
    """One task on the images of a COCO file.

    Parameters
    ----------
    dataset : CocoDataset
    folder : path
        Where its file names start.
    images : sequence of ImageEntry
        Those that are asked about.
    task : Task
    kind : {"point", "scribble", "box", "mask"}, optional
        For interactive.
    refs : path
        For referring.
    split : str
    """

    def __init__(
        self,
        dataset: CocoDataset,
        folder: Path | str,
        images: Sequence[ImageEntry],
        task: Task,
        kind: RegionKind | None,
        refs: Path | str,
        split: str = "",
    ) -> None:
        self.name, self.split = f"coco file, {task.value}", split
        self.settings = {"task": task.value, "prompt": kind, "images": [image.id for image in images]}
        self._dataset, self._folder, self._images = dataset, folder, tuple(images)
        self._task, self._kind, self._refs = task, kind, refs
        self._asking = self._evaluation()

    def __len__(self) -> int:
        return len(self._images)

    def ask(self, indices: Sequence[int], predictor: Predictor) -> list[Record]:
        return [self._ask(self._images[index], predictor) for index in indices]

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        counting = self._evaluation()
        by_id = {image.id: image for image in self._images}
        for record in records:
            counting.put(by_id[record["image"]], record["found"])
        return counting.figures()

    def picture(self, index: int, predictor: Predictor) -> Picture:
        image = self._images[index]
        watched = _Watched(predictor)
        self._ask(image, watched)
        truth = self._dataset.annotations_of(image)
        answers = np.concatenate([found.masks for found in watched.answers] or [truth.masks[:0]])
        asked = ", ".join(dict.fromkeys(watched.asked))
        return Picture(_read(image, self._folder), truth.masks, answers, f"{image.file_name} {asked}".strip())

    def _ask(self, image: ImageEntry, predictor: Predictor) -> Record:
        predictor.set_image(_read(image, self._folder))
        self._asking.add(image, predictor)
        found = self._asking.take()
        return {"image": image.id, "quality": found.pop("quality"), "found": found}

    def _evaluation(self) -> Evaluation:
        if self._task is Task.INTERACTIVE:
            return InteractiveEvaluation(self._dataset, self._kind or "point")
        if self._task is Task.INSTANCE:
            return InstanceEvaluation(self._dataset)
        if self._task is Task.SEMANTIC:
            return SemanticEvaluation(self._dataset)
        if self._task is Task.PANOPTIC:
            return PanopticEvaluation(self._dataset)
        return ReferringEvaluation(self._dataset, self._refs, self._task)


class _Watched:
    """A predictor whose questions and answers are kept, to draw them."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.answers: list[Annotations] = []
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict(
        self,
        condition: Condition,
        task: Task | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> Annotations:
        given = {"score_threshold": score_threshold, "thresholds": thresholds}
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        found = self._predictor.predict(condition, task, **options)
        if score_threshold == 0:  # average precision asks for everything; a user would not see it all
            found = found.select(found.scores >= self._predictor.thresholds.score)
        self.answers.append(found)
        self.asked += [condition.text] if isinstance(condition, SentenceCondition) else []
        return found


def _read(image: ImageEntry, folder: Path | str) -> NDArray[np.uint8]:
    pixels = to_rgb8(read_image(image.path(folder)))
    if pixels.shape[:2] != image.size:
        raise AnnotationError(
            f"{image.file_name} has {pixels.shape[0]} x {pixels.shape[1]} pixels, the annotations say "
            f"{image.height} x {image.width} (height x width): give the images that were annotated."
        )
    return pixels
