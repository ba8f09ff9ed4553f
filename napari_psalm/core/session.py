"""From a question in the window to objects in a Labels layer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from psygnal import Signal

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.answering import Answer, Answerer
from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.image_planes import visible_plane
from napari_psalm.core.limits import ClassLimits
from napari_psalm.core.predictors import Predictor, load_predictor
from napari_psalm.core.preview import Preview
from napari_psalm.core.preview_layer import PreviewLayer
from napari_psalm.core.prompt_layers import read_prompts
from napari_psalm.core.prompt_marks import PromptMarks
from napari_psalm.core.questions import Question, Request, ask
from napari_psalm.core.results import Results, count
from napari_psalm.core.runner import Job, Post, Runner
from napari_psalm.core.views import reduced
from psalm.conditions import Task
from psalm.errors import AnnotationError, PSALMError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

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
    previewed = Signal(object)
    """The `Preview` that is shown now, or None when it went."""
    painted = Signal(object, object)
    """The image, and the Labels layer that a prediction about it changed."""

    def __init__(self, viewer: ViewerModel, post: Post, load: Callable[[str], Predictor] = load_predictor) -> None:
        self.viewer = viewer
        self.runner = Runner(post)
        self.model_name = "psalm-tiny"
        self.marks = PromptMarks()
        self.preview: Preview | None = None
        self._accept_next = False
        self._answerer = Answerer(load)
        self._results = Results(viewer)
        self._preview_layer = PreviewLayer(viewer)

    @property
    def predictor(self) -> Predictor | None:
        """The model, once it is loaded."""
        return self._answerer.predictor

    @property
    def loaded_name(self) -> str:
        """The name under which the model was loaded."""
        return self._answerer.loaded_name

    def use_model(self, name: str) -> None:
        """Take another model, or the same one with other preferences; it is loaded for the next question."""
        self.model_name = name
        self._answerer.load_anew()

    def ready(self, job: Job) -> Predictor:
        """The model, loaded where it is not yet; for worker threads."""
        return self._answerer.ready(self.model_name, job)

    def segment(self, request: Request) -> None:
        """Predict what is asked; returns at once. What cannot be asked is said in `status`."""
        try:
            layer = self.annotation_layer(request.result) if request.result is not None else None
            if layer is not None:
                layer.check_protection()
            question = ask(self.viewer, request, layer)
        except PSALMError as error:
            self.status.emit(str(error), "problem")
            return
        self._accept_next = False
        if self.preview is not None and self.preview.found and not _gives_way(self.preview.question, question):
            labels = self._accept(self.preview)
            if labels is None:
                return
            if request.result is None:
                question = replace(question, request=replace(request, result=labels))
        self.busy.emit(True)
        self.runner.submit(
            work=partial(self._answerer.answer, question, self.model_name),
            done=partial(self._keep, question),
            failed=self._report,
            told=lambda step: self.status.emit(step, "info"),
        )

    def follow_prompts(self, request: Request) -> None:
        """Predict after a prompt was drawn, moved or taken away.

        Without any prompt their preview goes. An exclusion alone asks again what the preview answers.
        """
        shown = self.preview.question.request if self.preview is not None else None
        try:
            # A glance at few pixels is enough to see whether there is one.
            prompts = read_prompts(request.prompts, reduced(visible_plane(self.viewer, request.image), 64))
        except PSALMError as error:
            self.status.emit(str(error), "problem")
            return
        if prompts.regions:
            request = replace(request, task=Task.INTERACTIVE)
            if shown is not None and shown.refined:
                request = replace(request, refined=shown.refined, category=shown.category)
            self.segment(request)
        elif shown is not None and (shown.task is not Task.INTERACTIVE or shown.refined):
            self.segment(replace(shown, prompts=request.prompts))
        elif shown is not None:
            self._drop_preview()

    def cancel(self) -> None:
        """Give up the prediction that runs."""
        self._accept_next = False
        if self.runner.cancel():
            self.busy.emit(False)
            self.status.emit("Cancelled.", "info")

    def accept(self) -> Labels | None:
        """Write what the preview shows, as one step of the undo history, and clear its prompts.

        While an answer is awaited, it is that answer which is accepted, as soon as it is there.

        Returns
        -------
        napari.layers.Labels or None
            The layer that it was written to; None when it was not, and `status` says why.
        """
        if self.runner.busy:
            self._accept_next = True
            return None
        if self.preview is None:
            self.status.emit("There is no preview to accept: segment first.", "info")
            return None
        if not self.preview.found:
            self.status.emit("The preview is empty: lower the score, or ask for something else.", "problem")
            return None
        return self._accept(self.preview)

    def _accept(self, preview: Preview) -> Labels | None:
        answer = replace(preview.answer, found=preview.found, labels=preview.labels, limits=preview.limits)
        labels = self._write(preview.question, answer)
        if labels is not None:
            self._drop_preview()
            self._clear_prompts(preview.question)
        return labels

    def reject(self) -> None:
        """Take the preview away, with its prompts, and give up what runs."""
        self._accept_next = False
        if self.runner.cancel():
            self.busy.emit(False)
        preview = self.preview
        self._drop_preview()
        if preview is not None:
            self._clear_prompts(preview.question)
        self.status.emit("Rejected: nothing was written." if preview else "There is no preview to reject.", "info")

    def next_object(self) -> None:
        """Let the next prompts mark another object; those before are asked in the same pass."""
        self.marks.next_object()

    def set_limits(self, limits: ClassLimits) -> None:
        """Decide anew which proposals of the preview are objects, without the model."""
        if self.preview is not None:
            self.preview.redraw(limits)
            self.status.emit(_preview_summary(self.preview), "info")

    def close(self) -> None:
        """Give up what runs and let go of the layers."""
        self.runner.close()
        with suppress(RuntimeError):  # the window may be gone, and with it what listens to the layers
            self._drop_preview()
            self._preview_layer.remove()
        self.marks.unfollow()
        self._results.close()

    def annotation_layer(self, labels: Labels) -> AnnotationLayer:
        """The record of objects that belongs to a Labels layer.

        Raises
        ------
        AnnotationError
            When the layer cannot be edited.
        """
        return self._results.of(labels)

    def adopt(self, layer: AnnotationLayer) -> None:
        """Go on with the record of objects that somebody else made of a Labels layer."""
        self._results.adopt(layer)

    def forget(self, layer: Layer) -> None:
        """Let go of a layer that was removed; a preview goes with its image."""
        if self.preview is not None and layer in (self.preview.layer, self.preview.question.plane.layer):
            self._drop_preview()
        self._preview_layer.forget(layer)
        self._results.forget(layer)

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

    def _keep(self, question: Question, answer: Answer) -> None:
        """Show or write the answer; the window may have changed since the question was asked."""
        self.busy.emit(False)
        if question.plane.layer not in self.viewer.layers:
            self.status.emit("The image was removed meanwhile: the result was dropped.", "problem")
            return
        if not question.request.preview:
            self._write(question, answer)
            return
        self.preview = Preview(self._preview_layer, question, answer)
        self.previewed.emit(self.preview)
        level: Level = "problem" if answer.warning or not answer.found else "info"
        words = (_preview_summary(self.preview), answer.note, answer.warning)
        self.status.emit(" ".join(word for word in words if word), level)
        if self._accept_next:
            self._accept_next = False
            self.accept()

    def _write(self, question: Question, answer: Answer) -> Labels | None:
        """Write objects into the result layer; what is wrong is said in `status`."""
        try:
            written = self._results.write(question, answer)
        except PSALMError as error:
            self.status.emit(str(error), "problem")
            return None
        self.painted.emit(question.plane.layer, written.labels)
        warning = "" if question.request.preview else answer.warning
        self.status.emit(f"{written.text} {warning}".strip(), "problem" if warning else written.level)
        return written.labels

    def _drop_preview(self) -> None:
        preview, self.preview = self.preview, None
        if preview is not None:
            preview.remove()
            self.previewed.emit(None)

    def _clear_prompts(self, question: Question) -> None:
        marks = [mark for region in question.regions for mark in region.marks] + list(question.exclusions)
        self.marks.clear(mark.source for mark in marks)

    def _report(self, error: Exception) -> None:
        self._accept_next = False
        self.busy.emit(False)
        if isinstance(error, PSALMError):
            self.status.emit(str(error), "problem")
            return
        LOGGER.error("The prediction failed", exc_info=error)
        what = f"{type(error).__name__}: {error}"
        self.status.emit(f"The prediction failed ({what}). The terminal has details.", "problem")


def _gives_way(shown: Question, new: Question) -> bool:
    """Whether a preview may be replaced by the answer to another question; else it is accepted first.

    Another answer to the same kind of question about the same place takes its place. Prompts are asked again with
    those that came, so they may be looked at in another view.
    """
    same_kind = shown.request.task is new.request.task and shown.request.refined == new.request.refined
    same_slice = shown.plane.layer is new.plane.layer and shown.plane.source is new.plane.source
    same_slice = same_slice and replace(shown.plane, window=None).slicer == replace(new.plane, window=None).slicer
    return same_kind and same_slice and (shown.plane.window == new.plane.window or bool(new.regions))


def _preview_summary(preview: Preview) -> str:
    if preview.found:
        return f"{count(len(preview.found))} in the preview: accept or reject."
    request = preview.question.request
    instead = "move the prompt" if request.task is Task.INTERACTIVE else "try other words"
    return f"Nothing found: {instead if request.examples is None else 'try other examples'} or lower the score."
