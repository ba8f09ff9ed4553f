"""A slider with its name and its value in words."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QLabel, QSlider, QWidget

from napari_psalm.widgets.parts import row

_STEPS = 200


class LimitSlider(QWidget):
    """Chooses a number.

    Parameters
    ----------
    name, tooltip : str
    to_value : callable
        The number at a place of the slider, 0 to 1.
    to_place : callable
        The place of a number.
    to_text : callable
        A number in words.
    """

    changed = Signal()

    def __init__(
        self,
        name: str,
        tooltip: str,
        to_value: Callable[[float], float],
        to_place: Callable[[float], float],
        to_text: Callable[[float], str],
    ) -> None:
        super().__init__()
        self._to_value, self._to_place, self._to_text = to_value, to_place, to_text
        self._value = to_value(0.0)
        title, self.slider, self.text = QLabel(name), QSlider(Qt.Orientation.Horizontal), QLabel()
        title.setFixedWidth(78)
        self.text.setFixedWidth(56)
        self.text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.slider.setRange(0, _STEPS)
        self.slider.setPageStep(_STEPS // 20)
        self.slider.valueChanged.connect(self._moved)
        self.setLayout(row(title, self.slider, self.text, stretch=(0, 1, 0)))
        self.setToolTip(tooltip)
        self.show_value(self._value)

    @property
    def value(self) -> float:
        """The number; what was shown stays exact until the slider is moved."""
        return self._value

    def show_value(self, value: float) -> None:
        """Show a number without telling."""
        self._value = value
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(min(max(self._to_place(value), 0.0), 1.0) * _STEPS))
        self.text.setText(self._to_text(value))

    def _moved(self, step: int) -> None:
        self._value = self._to_value(step / _STEPS)
        self.text.setText(self._to_text(self._value))
        self.changed.emit()
