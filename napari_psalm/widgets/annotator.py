"""The docked widget: what to find, where, and what to do with it. Wiring only; the work is in `core.session`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFileDialog, QFormLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_psalm.core.bindings import bind_keys
from napari_psalm.core.category_table import NO_CATEGORY, CategoryTable
from napari_psalm.core.predictors import Predictor, load_predictor
from napari_psalm.core.questions import Request
from napari_psalm.core.session import AnnotationSession
from napari_psalm.widgets.layer_combo import LayerCombo
from napari_psalm.widgets.object_panel import ObjectPanel
from napari_psalm.widgets.parts import SPACE, WindowThread, column, group
from napari_psalm.widgets.question_panel import QuestionPanel
from napari_psalm.widgets.result_panel import ResultPanel
from napari_psalm.widgets.run_panel import ModelLine, RunPanel
from psalm.errors import PSALMError

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.utils.events import Event
    from napari.viewer import Viewer


class AnnotatorWidget(QWidget):
    """Segment the visible image by a class list, a sentence or prompts.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer; napari passes it.
    load : callable, optional
        Makes a predictor from a model's name; see `AnnotationSession`.
    """

    def __init__(self, napari_viewer: Viewer, load: Callable[[str], Predictor] = load_predictor) -> None:
        super().__init__()
        from napari.layers import Image

        self.viewer = napari_viewer
        self._window_thread = WindowThread()
        self.session = AnnotationSession(napari_viewer, self._window_thread.post, load)
        self.image = LayerCombo(napari_viewer, Image, "no image")
        self.image.setToolTip("The image to segment; of a stack, the slice that is shown")
        self.question = QuestionPanel(napari_viewer, lambda: self.image.layer, self.segment, self._problem)
        self.result = ResultPanel(napari_viewer)
        self.run = RunPanel()
        self.objects = ObjectPanel()
        self.model = ModelLine()
        self._results: list[tuple[Image, Labels]] = []
        self._closed = False
        self._lay_out()
        self._connect()
        self._take_theme()
        self._new_image()
        self._show_model()

    def request(self) -> Request:
        """What the widget asks for now."""
        return Request(
            image=self.image.layer,
            task=self.question.task,
            categories=self.question.classes.table,
            sentence=self.question.sentence.text(),
            prompts=self.question.prompts.layers,
            category=self.question.category.currentText() or NO_CATEGORY,
            result=self.result.layers.layer,
            score_threshold=self.result.score_threshold,
            replace=self.result.replace,
        )

    def segment(self) -> None:
        """Predict; the same as the button and the key G."""
        if not self._closed:
            self.session.segment(self.request())

    def export_to(self, path: Path | str, overwrite: bool = False) -> None:
        """Write the result layer to a COCO file and say so."""
        try:
            count = self.session.export(self.result.layers.layer, path, self.question.classes.table, overwrite)
        except PSALMError as error:
            self._problem(str(error))
        else:
            self.run.status.say(f"{count} objects written to {path}.", "good")

    def shut_down(self) -> None:
        """Give up what runs and let go of the viewer; called when the dock is closed."""
        if self._closed:
            return
        self._closed = True
        self.session.close()
        self._unbind()
        self.viewer.layers.events.removed.disconnect(self._forget)
        self.viewer.events.theme.disconnect(self._take_theme)
        for follower in (self.image, self.result.layers, self.question.prompts):
            follower.disconnect_layers()
        self.objects.disconnect_layer()

    def event(self, event: QEvent | None) -> bool:
        """Shut down when napari takes the widget out of its closed dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        return super().event(event)

    def _lay_out(self) -> None:
        image = QFormLayout()
        image.setContentsMargins(0, 0, 0, 0)
        image.addRow("Image", self.image)
        layout = column(
            image,
            group("Find", column(self.question)),
            group("Result", column(self.result)),
            self.run,
            group("Objects", column(self.objects)),
            self.model,
        )
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(_scrollable(layout))
        self.setMinimumWidth(300)

    def _connect(self) -> None:
        self.image.layer_changed.connect(self._new_image)
        self.result.layer_changed.connect(self._new_result)
        self.question.classes.changed.connect(self._new_classes)
        self.run.segment_wanted.connect(self.segment)
        self.run.cancel_wanted.connect(self.session.cancel)
        self.objects.class_given.connect(self._set_class)
        self.objects.export_wanted.connect(self._choose_export)
        self.objects.undo_wanted.connect(self._undo)
        self.model.change_wanted.connect(self._choose_model)
        self.session.status.connect(self.run.status.say)
        self.session.busy.connect(self._show_busy)
        self.session.painted.connect(self._show_painted)
        self.viewer.layers.events.removed.connect(self._forget)
        self.viewer.events.theme.connect(self._take_theme)
        self._unbind = bind_keys(self.viewer, self.segment, self.question.ready_for_clicks)
        self.destroyed.connect(lambda _object=None: self.shut_down())
        self._new_classes()

    def _problem(self, text: str) -> None:
        self.run.status.say(text, "problem")

    def _take_theme(self, event: Event | None = None) -> None:
        """Colour what matters as napari colours what is chosen."""
        from napari.utils.theme import get_theme

        theme = get_theme(self.viewer.theme)
        self.run.set_accent(theme.current.as_hex())
        self.question.classes.editor.setStyleSheet(f"QPlainTextEdit {{ background: {theme.foreground.as_hex()}; }}")

    def _new_image(self) -> None:
        image = self.image.layer
        self.result.layers.choose(next((labels for other, labels in self._results if other == image), None))
        self._suggest_classes(image)
        if image is None:
            self.run.status.say("Open an image, or take one from File > Open Sample > PSALM.")
        else:
            self.run.status.say("Say what to find, then press Segment.")

    def _new_result(self) -> None:
        self.objects.show_layer(self.result.layers.layer)
        self._suggest_classes(self.result.layers.layer)

    def _suggest_classes(self, layer: Image | Labels | None) -> None:
        """Take over the class list that a sample or a COCO file came with, unless there is one."""
        known = layer.metadata.get("psalm", {}).get("categories") if layer is not None else None
        if known and not self.question.classes.editor.toPlainText().strip():
            self.question.classes.set_table(CategoryTable.from_records(known))

    def _new_classes(self) -> None:
        self.objects.set_classes((*self.question.classes.table.names, NO_CATEGORY))

    def _show_busy(self, busy: bool) -> None:
        self.run.show_busy(busy)
        self._show_model()

    def _show_painted(self, image: Image, labels: Labels) -> None:
        self._results = [(other, known) for other, known in self._results if other != image] + [(image, labels)]
        if self.image.layer == image:
            self.result.layers.choose(labels)
        self.objects.refresh()

    def _show_model(self) -> None:
        session = self.session
        if session.predictor is None or session.loaded_name != session.model_name:
            self.model.text.setText(f"{Path(session.model_name).name}, loads on first use")
        else:
            self.model.text.setText(f"{session.predictor.config.name} on {session.predictor.device}")

    def _undo(self) -> None:
        if self.result.layers.layer is not None:
            self.result.layers.layer.undo()

    def _set_class(self, label_id: int, name: str) -> None:
        labels = self.result.layers.layer
        if labels is None:
            return
        try:
            layer = self.session.annotation_layer(labels)
            layer.set_category(label_id, name)
            layer.recolour(self.question.classes.table)
        except PSALMError as error:
            self._problem(str(error))
        else:
            self.run.status.say(f"Object {label_id} is a {name} now.", "good")

    def _choose_export(self) -> None:
        labels = self.result.layers.layer
        start = f"{labels.name}.json" if labels is not None else "coco.json"
        path, _ = QFileDialog.getSaveFileName(self, "Export COCO", start, "COCO (*.json)")
        if path:
            self.export_to(path, overwrite=True)

    def _choose_model(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model folder")
        if folder:
            self.session.model_name = folder
            self._show_model()

    def _forget(self, event: Event) -> None:
        layer = event.value
        self._results = [pair for pair in self._results if layer not in pair]
        self.session.forget(layer)


def _scrollable(layout: QVBoxLayout) -> QScrollArea:
    layout.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
    layout.addStretch(1)
    content = QWidget()
    content.setLayout(layout)
    content.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QScrollArea.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(content)
    return scroll
