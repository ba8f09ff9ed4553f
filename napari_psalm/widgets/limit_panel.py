"""Sliders that decide which proposals of the last run are objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QWidget

from napari_psalm.core.kept_masks import HIGHEST_PROBABILITY, LOWEST_PROBABILITY
from napari_psalm.core.limits import USED_BY, ClassLimits, Limits
from napari_psalm.widgets.coalesced import Coalesced
from napari_psalm.widgets.limit_slider import LimitSlider
from napari_psalm.widgets.parts import column, row
from psalm.conditions import Task

ALL = "all classes"
_MOST_AREA, _MOST_OBJECTS = 100_000, 200
_REDRAW_EVERY = 30  # milliseconds


class LimitPanel(QWidget):
    """Edits the `ClassLimits` of a task, for all classes or one of them.

    Moved sliders hold for later questions of the same task too, until they are reset.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._task, self._limits, self._soft = Task.INSTANCE, ClassLimits(), True
        self._chosen: dict[Task, ClassLimits] = {}
        self.scope = QComboBox()
        self.scope.setToolTip("Set limits for all classes, or for one class that needs its own")
        self.scope.addItem(ALL)
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Back to what suits the model and Preferences; a class goes back to the limits for all")
        self.sliders = _sliders()
        self._tell = Coalesced(self.changed.emit, _REDRAW_EVERY, self)
        self._scope_row = QWidget()
        self._scope_row.setLayout(row(QLabel("Limits for"), self.scope, self.reset, stretch=(0, 1, 0)))
        layout = column(self._scope_row, *self.sliders.values())
        layout.setSpacing(3)
        self.setLayout(layout)
        for slider in self.sliders.values():
            slider.changed.connect(self._moved)
        self.scope.currentIndexChanged.connect(lambda _index: self._show())
        self.reset.clicked.connect(lambda _checked: self._reset())
        self._usual: dict[Task, Limits] = {}
        self._show()

    def chosen(self, task: Task) -> ClassLimits | None:
        """The limits that the user set for a task; None when none was touched."""
        return self._chosen.get(task)

    @property
    def limits(self) -> ClassLimits:
        """What the sliders show now."""
        return self._limits

    def show_run(
        self, task: Task, names: tuple[str, ...], limits: ClassLimits, usual: Limits, soft: bool = True
    ) -> None:
        """Show the limits of a run, and those that it would have had if none had been moved.

        With `soft`, the masks can still be made larger or smaller.
        """
        self._task, self._limits, self._soft = task, limits, soft
        self._usual[task] = usual
        before = self.scope.currentText()
        with QSignalBlocker(self.scope):
            self.scope.clear()
            self.scope.addItems([ALL, *(name for name in dict.fromkeys(names) if name)])
            self.scope.setCurrentText(before if before in names else ALL)
        self._show()

    @property
    def _name(self) -> str | None:
        return self.scope.currentText() if self.scope.currentIndex() > 0 else None

    def _show(self) -> None:
        limits = self._limits.overall if self._name is None else self._limits.of(self._name)
        most = _MOST_OBJECTS if limits.most is None else limits.most
        values = {"score": limits.score, "mask": limits.mask, "overlap": limits.overlap, "area": limits.area}
        for key, slider in self.sliders.items():
            slider.show_value(values.get(key, most))
            slider.setVisible(key in USED_BY[self._task] and (key != "mask" or self._soft))

    def _moved(self) -> None:
        value = {key: slider.value for key, slider in self.sliders.items()}
        most = int(value["most"])
        limits = Limits(
            value["score"], value["mask"], value["overlap"], int(value["area"]), None if most >= _MOST_OBJECTS else most
        )
        self._set(self._limits.with_limits(limits, self._name))

    def _reset(self) -> None:
        if self._name is not None:
            self._set(self._limits.without(self._name))
        else:
            self._set(replace(self._limits, overall=self._usual.get(self._task, Limits())))
            self._chosen.pop(self._task, None)
        self._show()

    def _set(self, limits: ClassLimits) -> None:
        self._limits = self._chosen[self._task] = limits
        self._tell.call()


def _sliders() -> dict[str, LimitSlider]:
    span = HIGHEST_PROBABILITY - LOWEST_PROBABILITY
    area_scale = np.log(_MOST_AREA)
    return {
        "score": LimitSlider(
            "Score", "Leave out objects that the model is less sure of", _same, _same, lambda value: f"{value:.2f}"
        ),
        "mask": LimitSlider(
            "Mask",
            "How sure the model must be of a pixel: less makes masks larger",
            lambda place: LOWEST_PROBABILITY + place * span,
            lambda value: (value - LOWEST_PROBABILITY) / span,
            lambda value: f"{value:.2f}",
        ),
        "overlap": LimitSlider(
            "Overlap",
            "Of two objects that overlap by more than this, the better one stays (NMS)",
            _same,
            _same,
            lambda value: "any" if value >= 1 else f"{value:.2f}",
        ),
        "area": LimitSlider(
            "Smallest",
            "Leave out objects with fewer pixels",
            lambda place: float(round(np.exp(place * area_scale))),
            lambda value: float(np.log(max(value, 1)) / area_scale),
            lambda value: "any" if value <= 1 else f"{int(value)} px",
        ),
        "most": LimitSlider(
            "At most",
            "How many objects there may be: the best are kept",
            lambda place: float(max(round(place * _MOST_OBJECTS), 1)),
            lambda value: value / _MOST_OBJECTS,
            lambda value: "any" if value >= _MOST_OBJECTS else str(int(value)),
        ),
    }


def _same(value: float) -> float:
    return value
