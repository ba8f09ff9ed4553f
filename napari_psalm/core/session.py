"""From a question in the window to objects in a Labels layer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_psalm.core.annotation_layers import AnnotationLayer, Painted, new_annotation_layer
from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.image_planes import ImagePlane
from napari_psalm.core.predictors import Predictor, load_predictor
from napari_psalm.core.questions import Question, Request, answered_prompts, ask, describe, digest
from napari_psalm.core.runner import Job, Post, Runner
from psalm.annotations import Annotations
from psalm.conditions import Task
from psalm.errors import AnnotationError, PSALMError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

LOGGER = logging.getLogger(__name__)
Level = Literal["info", "good", "problem"]


class AnnotationSession:
    """Answers requests about the images of one viewer and keeps the results.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    post : callable
        Runs a callable on the thread that may touch layers; see `napari_psalm.core.runner.Post`.
    load : callable
        Makes a predictor from the name or folder of a model, in the worker thread.
    """

    status = Signal(str, str)
    """Text for the status line, and its level: info, good or problem."""
    busy = Signal(bool)
    """Whether a prediction is awaited."""
    painted = Signal(object, object)
    """The image, and the Labels layer that a prediction about it changed."""

    def __init__(self, viewer: ViewerModel, post: Post, load: Callable[[str], Predictor] = load_predictor) -> None:
        self.viewer = viewer
        self.runner = Runner(post)
        self.model_name = "psalm-tiny"
        self.predictor: Predictor | None = None
        self._load = load
        self.loaded_name = ""
        self._encoded = b""
        self._layers: list[AnnotationLayer] = []

    def segment(self, request: Request) -> None:
        """Predict what is asked and paint it; returns at once. What cannot be asked is said in `status`."""
        try:
            layer = self.annotation_layer(request.result) if request.result is not None else None
            question = ask(self.viewer, request, layer)
        except PSALMError as error:
            self.status.emit(str(error), "problem")
            return
        self.busy.emit(True)
        self.runner.submit(
            work=partial(self._answer, question),
            done=partial(self._keep, question),
            failed=self._report,
            told=lambda step: self.status.emit(step, "info"),
        )

    def cancel(self) -> None:
        """Give up the prediction that runs."""
        if self.runner.cancel():
            self.busy.emit(False)
            self.status.emit("Cancelled.", "info")

    def close(self) -> None:
        """Give up what runs and let go of the layers."""
        self.runner.close()
        for layer in self._layers:
            layer.close()
        self._layers.clear()

    def annotation_layer(self, labels: Labels) -> AnnotationLayer:
        """The record of objects that belongs to a Labels layer."""
        for layer in self._layers:
            if layer.layer == labels:
                return layer
        self._layers.append(AnnotationLayer(labels))
        return self._layers[-1]

    def forget(self, labels: Labels) -> None:
        """Let go of a layer that was removed."""
        for layer in [layer for layer in self._layers if layer.layer == labels]:
            layer.close()
            self._layers.remove(layer)

    def export(
        self, labels: Labels | None, path: Path | str, categories: CategoryTable, overwrite: bool = False
    ) -> int:
        """Write the objects of a Labels layer to a COCO file and return how many they are.

        Raises
        ------
        AnnotationError
            When there is no layer, or it holds no object.
        OutputError
            When the file cannot be written.
        """
        from napari_psalm.core.coco_files import write_labels

        if labels is None:
            raise AnnotationError("There is no result to export: segment first, or choose a Labels layer as Result.")
        return write_labels(path, [(labels.data, labels.as_layer_data_tuple()[1])], categories, overwrite)

    def _answer(self, question: Question, job: Job) -> tuple[Annotations, NDArray[np.uint32]]:
        """Runs in the worker thread: touches no layer, only arrays."""
        if self.predictor is None or self.loaded_name != self.model_name:
            job.step(f"Loading the model {Path(self.model_name).name} (first use only) …")
            name, self._encoded = self.model_name, b""
            self.predictor = self._load(name)
            self.loaded_name = name
        job.step("Reading the image …")
        pixels = question.plane.read()
        key = digest(pixels)
        if key != self._encoded:
            job.step("Looking at the image …")
            self._encoded = b""
            self.predictor.set_image(pixels)
            self._encoded = key
        job.step("Finding objects …")
        threshold = None if question.request.task is Task.INTERACTIVE else question.request.score_threshold
        found = self.predictor.predict(question.condition, question.request.task, score_threshold=threshold)
        return found, found.to_labels()

    def _keep(self, question: Question, answer: tuple[Annotations, NDArray[np.uint32]]) -> None:
        """Paint the answer; the window may have changed since the question was asked."""
        self.busy.emit(False)
        request, plane = question.request, question.plane
        if plane.layer not in self.viewer.layers:
            self.status.emit("The image was removed meanwhile: the result was dropped.", "problem")
            return
        try:
            layer = self._result_layer(request, plane)
            found, pixels = answer
            answers = answered_prompts(question, found)
            objects = describe(question, found, answers)
            replaced = layer.ids_of_task(request.task.value, plane) if request.replace else set()
            painted = layer.paint(plane, pixels, objects, replaced)
            layer.recolour(request.categories)
        except PSALMError as error:
            self.status.emit(str(error), "problem")
            return
        layer.answered.update({question.keys[i]: n for i, n in zip(answers, painted.ids, strict=False) if n})
        layer.note(categories=request.categories.to_records())
        self.painted.emit(plane.layer, layer.layer)
        self.status.emit(*_summary(painted, request, len(replaced)))

    def _result_layer(self, request: Request, plane: ImagePlane) -> AnnotationLayer:
        if request.result is not None and request.result in self.viewer.layers:
            return self.annotation_layer(request.result)
        active = self.viewer.layers.selection.active
        labels = new_annotation_layer(self.viewer, plane)
        prompts = (request.prompts.points, request.prompts.shapes, request.prompts.labels)
        drawing = active is not None and active in prompts
        self.viewer.layers.selection.active = active if drawing else labels
        return self.annotation_layer(labels)

    def _report(self, error: Exception) -> None:
        self.busy.emit(False)
        if isinstance(error, PSALMError):
            self.status.emit(str(error), "problem")
            return
        LOGGER.error("The prediction failed", exc_info=error)
        what = f"{type(error).__name__}: {error}"
        self.status.emit(f"The prediction failed ({what}). The terminal has details.", "problem")


def _summary(painted: Painted, request: Request, replaced: int) -> tuple[str, Level]:
    if not painted.ids:
        lower = " or lower the score" if request.score_threshold else ""
        return f"Nothing found: try other words{lower}.", "problem"
    if not painted.added and not replaced:
        return "What was found is there already. To redo it, set Earlier objects to Replace.", "info"
    text = f"{painted.added} object{'' if painted.added == 1 else 's'} added"
    text += f", {replaced} replaced" if replaced else ""
    text += f", {painted.covered} already there" if painted.covered else ""
    return f"{text}.", "good"
