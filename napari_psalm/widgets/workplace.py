"""Ties the folder of images, the keys and the preferences to the annotator. Wiring only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_psalm.core.keys import MOST_CLASS_KEYS, bind_actions, bind_undo, wrong_keys
from napari_psalm.core.look_ahead import LookAhead
from napari_psalm.core.preferences import read_preferences, when_preferences_change
from napari_psalm.core.workspace import Workspace
from napari_psalm.widgets.cheat_sheet import CheatSheet
from napari_psalm.widgets.dataset_panel import DatasetPanel
from psalm.store import ImageState

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_psalm.core.annotation_layers import AnnotationLayer
    from napari_psalm.core.dataset import Dataset
    from napari_psalm.widgets.annotator import AnnotatorWidget

_IDLE = 400  # milliseconds without a question, after which images are encoded ahead


class Workplace:
    """What surrounds the annotator: images of a folder, keys, help.

    Parameters
    ----------
    annotator : AnnotatorWidget
        The widget.
    """

    def __init__(self, annotator: AnnotatorWidget) -> None:
        self.annotator = annotator
        self.workspace = Workspace(annotator.viewer, annotator.window_thread.post)
        self.panel = DatasetPanel(self.workspace)
        self.sheet: CheatSheet | None = None
        """The list of keys, once it was shown."""
        self.ahead = LookAhead(annotator.window_thread.post)
        self._idle = QTimer(annotator)
        self._idle.setSingleShot(True)
        self._idle.setInterval(_IDLE)
        self._drawing = False
        self._unbind: Callable[[], None] = lambda: None
        self._model = read_preferences().model
        self._connect()
        self._bind()
        self._unbind_undo = bind_undo(annotator.viewer, annotator.objects.take_back, annotator.objects.do_again)
        self._stop_following = when_preferences_change(self._prefer)
        self._dock()

    def close(self) -> None:
        """Write what is left, and let go of the viewer."""
        self._keep_classes()
        self._unbind()
        self._unbind_undo()
        self._stop_following()
        self.panel.disconnect_workspace()
        self.workspace.close()
        self._idle.stop()
        self.ahead.close()
        with suppress(LookupError, RuntimeError):  # the window may be closing, and its widgets with it
            self._undock()

    def handlers(self) -> dict[str, Callable[[], Any]]:
        """What the keys do, by the names of `napari_psalm.core.keys`."""
        annotator, objects, workspace = self.annotator, self.annotator.objects, self.workspace
        handlers: dict[str, Callable[[], Any]] = {
            "segment": annotator.segment,
            "click": annotator.question.ready_for_clicks,
            "accept": annotator.session.accept,
            "reject": annotator.session.reject,
            "refine": annotator.refine,
            "next_prompt": annotator.session.next_object,
            "exclude": annotator.question.prompts.toggle_exclusion,
            "delete": lambda: objects.edit("delete"),
            "merge": lambda: objects.edit("merge"),
            "split": lambda: objects.edit("split"),
            "fill_holes": lambda: objects.edit("fill_holes"),
            "keep_largest": lambda: objects.edit("keep_largest"),
            "next_object": lambda: objects.step(1),
            "previous_object": lambda: objects.step(-1),
            "next_image": lambda: workspace.step(1),
            "previous_image": lambda: workspace.step(-1),
            "verify": lambda: workspace.set_state(ImageState.VERIFIED, move=True),
            "skip": lambda: workspace.set_state(ImageState.SKIPPED, move=True),
            "help": self.toggle_help,
        }
        for digit in range(1, MOST_CLASS_KEYS + 1):
            handlers[f"class_{digit}"] = partial(self.give_class, digit)
        return handlers

    def give_class(self, digit: int) -> None:
        """Give the selected objects, and what is drawn next, the class of a digit."""
        name = self.annotator.question.classes.table.name_of_shortcut(digit)
        if name is None:
            self.annotator.run.status.say(f"No class has the key {digit}.", "problem")
            return
        self.annotator.question.category.setCurrentText(name)
        self.annotator.objects.set_class(name)

    def toggle_help(self) -> None:
        """Show or hide the list of keys."""
        if self.sheet is not None and self.sheet.isVisible():
            self.sheet.close()
            return
        table = self.annotator.question.classes.table
        names = {digit: name for digit in range(1, MOST_CLASS_KEYS + 1) if (name := table.name_of_shortcut(digit))}
        self.sheet = CheatSheet(read_preferences().keys, names, self.annotator)
        self.sheet.show()

    def _prefer(self) -> None:
        """Follow Preferences; thresholds are read with each question."""
        model = read_preferences().model
        if model != self._model:
            self._model = model
            self.annotator.use_model(model.name)
        self._bind()

    def _bind(self) -> None:
        keys = read_preferences().keys
        wrong = wrong_keys(keys)
        if wrong:
            names = ", ".join(f"{name} ({keys[name]})" for name in wrong)
            self.annotator.run.status.say(f"These keys cannot be used: {names}. Change them in Preferences.", "problem")
        self._unbind()
        usable = {name: key for name, key in keys.items() if name not in wrong}
        self._unbind = bind_actions(self.annotator.viewer, self.handlers(), usable)
        self.annotator.show_keys(usable)

    def _connect(self) -> None:
        workspace, classes = self.workspace, self.annotator.question.classes
        workspace.said.connect(self.annotator.run.status.say)
        workspace.opened.connect(self._opened)
        workspace.leaving.connect(self._leaving)
        workspace.shown.connect(self._shown)
        self.panel.help.clicked.connect(lambda _checked: self.toggle_help())
        classes.changed.connect(self._recolour)
        self.annotator.question.category.currentTextChanged.connect(self._choose_category)
        classes.edited.connect(self._keep_classes)
        self.annotator.session.busy.connect(self._not_idle)
        self._idle.timeout.connect(self._look_ahead)

    def _opened(self, dataset: Dataset | None) -> None:
        """A dataset brings its class list; one without takes the list that is there."""
        if dataset is None:
            return
        table = dataset.categories()
        if table.names:
            self.annotator.question.classes.set_table(table)

    def _leaving(self) -> None:
        """Prompts and preview belong to the image that goes."""
        annotator = self.annotator
        self._keep_classes()
        if annotator.session.preview is not None or annotator.session.runner.busy:
            annotator.session.reject()
        active = annotator.viewer.layers.selection.active
        prompts = annotator.question.prompts.layers.chosen
        self._drawing = active is not None and active in prompts
        for layer in prompts:
            if layer in annotator.viewer.layers:
                annotator.viewer.layers.remove(layer)

    def _shown(self, image: Image, layer: AnnotationLayer) -> None:
        self._choose_ahead()
        self.annotator.show_result(image, layer)
        if self._drawing:
            self.annotator.question.ready_for_clicks()

    def _choose_ahead(self) -> None:
        """The next image of the queue, and the one before, are likely to come."""
        workspace = self.workspace
        dataset, near = workspace.dataset, [workspace.queue.neighbour(workspace.image, by) for by in (1, -1)]
        if dataset is not None:
            self.ahead.choose([partial(dataset.read, image) for image in near if image is not None])
            self._idle.start()

    def _not_idle(self, _busy: bool) -> None:
        """A prediction comes first."""
        self.ahead.pause()
        self._idle.start()

    def _look_ahead(self) -> None:
        session = self.annotator.session
        predictor, loaded = session.predictor, session.loaded_name == session.model_name
        useful = self.annotator.look_at.index == 0 and self._model.cache_megabytes > 0
        if predictor is not None and loaded and useful and not session.runner.busy:
            self.ahead.go_on(predictor.prefetch)

    def _recolour(self) -> None:
        layer = self.annotator.objects.layer
        table = self.annotator.question.classes.table
        if layer is not None and layer.categories != table:
            layer.recolour(table)
            self.annotator.objects.refresh()

    def _choose_category(self, name: str) -> None:
        """What is painted by hand gets the class that prompts give too."""
        layer = self.annotator.objects.layer
        if layer is not None and name:
            layer.next_category = name

    def _keep_classes(self) -> None:
        self.workspace.keep_classes(self.annotator.question.classes.table)

    def _dock(self) -> None:
        window = getattr(self.annotator.viewer, "window", None)
        if window is not None:
            window.add_dock_widget(self.panel, name="PSALM images", area="left")

    def _undock(self) -> None:
        if self.sheet is not None:
            self.sheet.close()
        window = getattr(self.annotator.viewer, "window", None)
        if window is not None and self.panel.parent() is not None:
            window.remove_dock_widget(self.panel)
