"""The docked widget: what to find, where, and what to do with it. Wiring only; the work is in `core.session`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFileDialog, QFormLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.category_table import NO_CATEGORY, CategoryTable
from napari_psalm.core.examples import take_examples
from napari_psalm.core.predictors import Predictor, known_names, load_predictor
from napari_psalm.core.preferences import read_preferences
from napari_psalm.core.preview import Preview
from napari_psalm.core.questions import Request
from napari_psalm.core.session import AnnotationSession
from napari_psalm.widgets.layer_combo import LayerCombo
from napari_psalm.widgets.object_panel import ObjectPanel
from napari_psalm.widgets.parts import SPACE, Choice, WindowThread, column, group
from napari_psalm.widgets.preview_panel import PreviewPanel
from napari_psalm.widgets.question_panel import EXAMPLES, QuestionPanel
from napari_psalm.widgets.result_panel import ResultPanel
from napari_psalm.widgets.run_panel import ModelLine, RunPanel
from napari_psalm.widgets.workplace import Workplace
from psalm.conditions import Task
from psalm.errors import PSALMError

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.utils.events import Event
    from napari.viewer import Viewer

WHOLE, VIEW, TILES = range(3)


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
        self.window_thread = WindowThread()
        self.session = AnnotationSession(napari_viewer, self.window_thread.post, load)
        self.session.model_name = read_preferences().model.name
        self.image = LayerCombo(napari_viewer, Image, "no image")
        self.image.setToolTip("The image to segment; of a stack, the slice that is shown")
        self.look_at = Choice(
            ("Whole image", "View", "Tiles"),
            (
                "The model sees the whole image, or the whole slice",
                "The model sees what the canvas shows, so that small objects get more of its pixels: zoom in first",
                "The model sees the image tile by tile, each at its full resolution: for large images, and for more\n"
                "objects than the model finds at once; it takes as many times longer as there are tiles",
            ),
        )
        self.question = QuestionPanel(
            napari_viewer,
            lambda: self.image.layer,
            self.session.marks,
            self.segment,
            self._prompts_drawn,
            self._problem,
        )
        self.preview = PreviewPanel()
        self.result = ResultPanel(napari_viewer)
        self.run = RunPanel()
        self.objects = ObjectPanel(napari_viewer, lambda: self.image.layer, self.run.status.say)
        self.model = ModelLine()
        self._results: list[tuple[Image, Labels]] = []
        self._closed = False
        self._lay_out()
        self._connect()
        self._take_theme()
        self._new_image()
        self._show_model()
        self.workplace = Workplace(self)

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
            limits=self.preview.limits.chosen(self.question.task),
            preferred=read_preferences().thresholds,
            replace=self.result.replace,
            in_view=self.look_at.index == VIEW,
            tiles=self.look_at.index == TILES,
            examples=self.question.examples.examples if self.question.mode.index == EXAMPLES else None,
            preview=self.preview.first.isChecked(),
        )

    def segment(self) -> None:
        """Predict; the same as the button and the key G."""
        if not self._closed:
            self.session.segment(self.request())

    def refine(self) -> None:
        """Ask for the selected object of the result anew, with itself and the drawn prompts as the prompt."""
        ids, layer = self.objects.ids, self.objects.layer
        if layer is None or not ids:
            self._problem("There is no object to refine: choose one in the table, or with the colour picker (L).")
        elif not self._closed:
            own = layer.facts(ids[0]).category
            self.session.segment(replace(self.request(), task=Task.INTERACTIVE, refined=ids[0], category=own))

    def find_alike(self) -> None:
        """Take the selected objects as examples, and find what looks like them in the image."""
        try:
            new = take_examples(self.viewer, self.image.layer, self.objects.layer, self.objects.ids)
        except PSALMError as error:
            self._problem(str(error))
            return
        self.question.mode.choose(EXAMPLES)
        self.question.examples.show_examples(self.question.examples.examples.joined(new))
        self.segment()

    def export_to(self, path: Path | str, overwrite: bool = False) -> None:
        """Write the result layer to a COCO file and say so."""
        try:
            count = self.session.export(self.result.layers.layer, path, self.question.classes.table, overwrite)
        except PSALMError as error:
            self._problem(str(error))
        else:
            self.run.status.say(f"{count} objects written to {path}.", "good")

    def show_result(self, image: Image, layer: AnnotationLayer) -> None:
        """Go on with an image and its objects."""
        self.session.adopt(layer)
        self._results = [(other, known) for other, known in self._results if other != image] + [(image, layer.layer)]
        self.image.choose(image)
        self.result.layers.choose(layer.layer)

    def use_model(self, name: str) -> None:
        """Take another model, or the same one with other preferences, from the next question on."""
        self.session.use_model(name)
        self._show_model()

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Write the keys on the buttons that have one."""
        self.run.show_key(keys.get("segment", ""))
        self.preview.show_keys(keys)

    def shut_down(self) -> None:
        """Give up what runs and let go of the viewer; called when the dock is closed."""
        if self._closed:
            return
        self._closed = True
        self.workplace.close()
        self.session.close()
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
        image.addRow("Look at", self.look_at)
        layout = column(
            image,
            group("Find", column(self.question)),
            self.run,
            group("Preview", column(self.preview)),
            group("Result", column(self.result)),
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
        self.run.tiles_wanted.connect(self._ask_in_tiles)
        self.question.examples.taken.connect(self.find_alike)
        self.preview.accept_wanted.connect(self.session.accept)
        self.preview.reject_wanted.connect(self.session.reject)
        self.preview.limits.changed.connect(lambda: self.session.set_limits(self.preview.limits.limits))
        self.session.previewed.connect(self._show_preview)
        self.objects.export_wanted.connect(self._choose_export)
        self.model.change_wanted.connect(self._choose_model)
        self.session.status.connect(self.run.status.say)
        self.session.busy.connect(self._show_busy)
        self.session.painted.connect(self._show_painted)
        self.viewer.layers.events.removed.connect(self._forget)
        self.viewer.events.theme.connect(self._take_theme)
        self.destroyed.connect(lambda _object=None: self.shut_down())
        self._new_classes()

    def _prompts_drawn(self) -> None:
        if not self._closed:
            self.session.follow_prompts(self.request())

    def _ask_in_tiles(self) -> None:
        self.look_at.choose(TILES)
        self.segment()

    def _show_preview(self, preview: Preview | None) -> None:
        self.preview.show_preview(preview)
        self.run.offer_tiles(preview is not None and preview.answer.crowded)
        self._show_model()

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
        labels = self.result.layers.layer
        self.objects.show_layer(self._objects_of(labels))
        self._suggest_classes(labels)

    def _objects_of(self, labels: Labels | None) -> AnnotationLayer | None:
        """The objects of a Labels layer; None, with a word why, when it cannot be edited."""
        if labels is None:
            return None
        try:
            layer = self.session.annotation_layer(labels)
        except PSALMError as error:
            self._problem(str(error))
            return None
        layer.recolour(self.question.classes.table)
        layer.next_category = self.question.category.currentText() or NO_CATEGORY
        return layer

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
        session, predictor = self.session, self.session.predictor
        if predictor is None or session.loaded_name != session.model_name:
            self.model.text.setText(f"{Path(session.model_name).name}, loads on first use")
            self.question.set_known_names(known_names(session.model_name))
            return
        used, limit = session.preview.answer.tokens if session.preview is not None else (0, 0)
        tokens = f", {used} of {limit} mask tokens used" if limit else ""
        self.model.text.setText(f"{predictor.config.name} on {predictor.device}{tokens}")

    def _choose_export(self) -> None:
        labels = self.result.layers.layer
        start = f"{labels.name}.json" if labels is not None else "coco.json"
        path, _ = QFileDialog.getSaveFileName(self, "Export COCO", start, "COCO (*.json)")
        if path:
            self.export_to(path, overwrite=True)

    def _choose_model(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model folder")
        if folder:
            self.use_model(folder)

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
