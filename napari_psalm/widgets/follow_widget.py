"""The docked widget that follows objects through a stack or a video. Wiring only; the work is in `core.following`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QDockWidget, QDoubleSpinBox, QLabel, QMainWindow, QPushButton, QSpinBox, QWidget

from napari_psalm.core.following import Following
from napari_psalm.core.image_planes import visible_plane
from napari_psalm.core.plane_frames import choose_axis
from napari_psalm.core.runner import Job
from napari_psalm.core.trust import Trusts
from napari_psalm.widgets.parts import SPACE, Choice, StatusLine, column, row
from napari_psalm.widgets.trust_strip import TrustStrip
from psalm.errors import PSALMError

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_psalm.widgets.annotator import AnnotatorWidget
    from psalm.video import Tracker

ALL, SELECTED = range(2)
_HINT = "Go to a slice with objects, then follow them to the others."


class FollowWidget(QWidget):
    """Follow the objects of the annotator's result from the slice that is shown to a range of others.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer; napari passes it.
    annotator : AnnotatorWidget, optional
        Whose image, result and model count; that of the viewer, docked when it is not there.
    """

    def __init__(self, napari_viewer: Viewer, annotator: AnnotatorWidget | None = None) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.annotator = annotator or _annotator_of(napari_viewer)
        self.following = Following(napari_viewer, self.annotator.window_thread.post, self._make_tracker)
        self.which = Choice(
            ("All here", "Selected"), ("Follow every object of this slice", "Follow the objects selected in the table")
        )
        self.first, self.last = QSpinBox(), QSpinBox()
        self.first.setToolTip("The first slice that may be changed")
        self.last.setToolTip("The last slice that may be changed")
        self.back, self.on, self.stop = QPushButton("◀ Follow back"), QPushButton("Follow on ▶"), QPushButton("Stop")
        self.back.setToolTip("Follow the objects from this slice to the first one of the range")
        self.on.setToolTip("Follow the objects from this slice to the last one of the range")
        self.stop.setToolTip("End here; what was found so far is written")
        self.brake = QCheckBox("Stop below trust")
        self.brake.setToolTip(
            "Stop at the first slice where the score, the area or the place of an object changes too much,\n"
            "or whose trust is below this, and go there"
        )
        self.brake.setChecked(True)
        self.least = QDoubleSpinBox()
        self.least.setRange(0, 1)
        self.least.setSingleStep(0.05)
        self.least.setValue(0.5)
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Take back the last change of the result, such as all that was followed in one go")
        self.strip = TrustStrip()
        self.status = StatusLine()
        self._closed = False
        self._whole = True
        self._placed = _has_place()
        self._lay_out()
        self._connect()
        self._show_range()
        self._show_busy(False)
        self.status.say(_HINT)

    def follow(self, forward: bool) -> None:
        """Follow the chosen objects to one end of the range."""
        objects = self.annotator.objects
        ids = objects.ids if self.which.index == SELECTED else []
        if self.which.index == SELECTED and not ids:
            self.status.say("No object is selected: choose one in the table, or All here.", "problem")
            return
        end = self.last.value() if forward else self.first.value()
        least = self.least.value() if self.brake.isChecked() else None
        self.following.follow(self.annotator.image.layer, objects.layer, ids, end, least)

    def shut_down(self) -> None:
        """Give up what runs and let go of the viewer."""
        if self._closed:
            return
        self._closed = True
        self.following.close()
        self.viewer.dims.events.disconnect(self._show_range)
        self.viewer.layers.events.removed.disconnect(self._show_range)

    def event(self, event: QEvent | None) -> bool:
        """Go below the sliders when docked; shut down when napari takes the widget out of its closed dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self.shut_down()
            elif not self._placed:
                # napari docks every plugin at the right, and does so after it has made the dock.
                QTimer.singleShot(0, self._go_below)
        return super().event(event)

    def _go_below(self) -> None:
        dock = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        window = None if dock is None else dock.window()
        if self._placed or dock is None or not isinstance(window, QMainWindow):
            return
        self._placed = True
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)

    def _make_tracker(self, job: Job) -> Tracker:
        """In the worker thread."""
        predictor: Any = self.annotator.session.ready(job)
        from psalm.video import Tracker, TrackLimits

        return Tracker(predictor, TrackLimits(overlap=self.following.least_overlap))

    def _lay_out(self) -> None:
        what = row(
            QLabel("Objects"), self.which, QLabel("  Slices"), self.first, QLabel("to"), self.last, QLabel("  "),
            self.brake, self.least, QWidget(), stretch=(*[0] * 9, 1),
        )  # fmt: skip
        do = row(self.back, self.on, self.stop, self.undo, self.status, stretch=(0, 0, 0, 0, 1))
        layout = column(self.strip, what, do)
        layout.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        layout.addStretch(1)
        self.setLayout(layout)

    def _connect(self) -> None:
        self.back.clicked.connect(lambda _checked: self.follow(forward=False))
        self.on.clicked.connect(lambda _checked: self.follow(forward=True))
        self.stop.clicked.connect(lambda _checked: self.following.stop())
        self.undo.clicked.connect(lambda _checked: self.annotator.objects.take_back())
        self.brake.toggled.connect(self.least.setEnabled)
        self.strip.slice_wanted.connect(self._go_to)
        self.following.status.connect(self.status.say)
        self.following.busy.connect(self._show_busy)
        self.following.trusted.connect(self._show_trusts)
        self.annotator.image.layer_changed.connect(self._new_image)
        self.viewer.dims.events.connect(self._show_range)
        self.viewer.layers.events.removed.connect(self._show_range)
        self.destroyed.connect(lambda _object=None: self.shut_down())

    def _show_trusts(self, trusts: Trusts | None) -> None:
        self.strip.show_trusts(trusts)

    def _new_image(self) -> None:
        self.following.forget()
        self._whole = True
        self._show_range()

    def _show_busy(self, busy: bool) -> None:
        for widget in (self.back, self.on, self.which, self.first, self.last, self.brake, self.undo):
            widget.setEnabled(not busy)
        self.stop.setEnabled(busy)
        held = self.following.stopped_at is not None and not busy
        if held and self.which.index == ALL:
            # So that the brush paints what is to be corrected; a selection that was made to be followed stays.
            self.annotator.objects.select(self.following.doubted)
        self.on.setText("Continue ▶" if held and self.following.forward else "Follow on ▶")
        self.back.setText("◀ Continue" if held and not self.following.forward else "◀ Follow back")

    def _show_range(self, _event: Any = None) -> None:
        """Offer the slices that the image has, and mark the one that is shown."""
        if self._closed:
            return
        try:
            plane = visible_plane(self.viewer, self.annotator.image.layer)
            axis = choose_axis(self.viewer, plane)
        except PSALMError:
            self.strip.show_trusts(None)
            return
        last = plane.stack_shape[axis] - 1
        grown = self.last.maximum() != last
        for spin in (self.first, self.last):
            with QSignalBlocker(spin):
                spin.setRange(0, last)
        if self._whole or grown:
            self._whole = False
            self.first.setValue(0)
            self.last.setValue(last)
        self.strip.show_trusts(self.following.trusts or Trusts(axis + self.viewer.dims.ndim - plane.ndim, last + 1))
        self.strip.show_current(plane.position[axis])

    def _go_to(self, index: int) -> None:
        self.following.go_to(self.annotator.image.layer, index)


def _has_place() -> bool:
    """Whether napari remembers where the user put the widget."""
    from napari.settings import get_settings

    return any("PSALM follow" in name for name in get_settings().application.plugin_widget_positions)


def _annotator_of(viewer: Viewer) -> AnnotatorWidget:
    _, widget = viewer.window.add_plugin_dock_widget("napari-psalm", "PSALM annotator")
    return widget
