"""What the next prompt means: which object it marks, or what it excludes; and how prompts look."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

OBJECT = "object"
"""Column of a prompt layer's features: prompts with the same number mark one object."""
EXCLUDE = "exclude"
"""Column of a prompt layer's features: whether a prompt shows what does not belong to an object."""

_EXCLUDED = (0.95, 0.2, 0.2, 1.0)


def is_ours(layer: Layer) -> bool:
    """Whether a layer was made for prompts, so that they may be cleared from it."""
    return bool(layer.metadata.get("psalm", {}).get("prompts"))


def read_marks(layer: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of each point or shape: the number of its object, 0 where it has none; and whether it is an exclusion."""
    table, length = layer.features, len(layer.data)
    numbers, excluded = np.zeros(length, dtype=np.int64), np.zeros(length, dtype=bool)
    if OBJECT in table:
        numbers[:] = np.nan_to_num(table[OBJECT].to_numpy(dtype=np.float64))
    if EXCLUDE in table:
        # What napari fills in for a value that is missing is not 1 either.
        excluded[:] = [value == 1 for value in table[EXCLUDE]]
    return numbers, excluded


class PromptMarks:
    """Numbers the prompts in the layers that were made for them, and tells when something is drawn.

    Attributes
    ----------
    separate : bool
        Whether each prompt marks an object of its own; else prompts mark one object until `next_object`.
    """

    drawn = Signal()
    """A prompt came, went or moved in a layer that is followed."""
    changed = Signal()
    """Another object, or exclusion, is marked next."""

    def __init__(self) -> None:
        self.separate = True
        self._number, self._excluding = 1, False
        self._followed: list[tuple[Any, Callable[[Any], None]]] = []
        self._silent = False

    @property
    def number(self) -> int:
        """The object that the next prompt marks."""
        return self._number

    @property
    def excluding(self) -> bool:
        """Whether the next prompt shows what does not belong to an object."""
        return self._excluding

    @excluding.setter
    def excluding(self, excluding: bool) -> None:
        self._excluding = excluding
        self._announce()

    def next_object(self) -> None:
        """Let the next prompts mark another object."""
        self._number += 1
        self._excluding = False
        self._announce()

    def adopt(self, layer: Any) -> None:
        """Make a new layer one for prompts."""
        layer.metadata["psalm"] = {**layer.metadata.get("psalm", {}), "prompts": True}
        if not _is_labels(layer):
            layer.features = {OBJECT: np.zeros(0, dtype=int), EXCLUDE: np.zeros(0, dtype=bool)}
        self._prepare(layer)

    def follow(self, layers: Iterable[Layer]) -> None:
        """Tell of what is drawn in these layers, and in no others."""
        self.unfollow()
        for layer in layers:
            event = layer.events.paint if _is_labels(layer) else layer.events.data

            def react(event: Any, layer: Any = layer) -> None:
                self._on_drawn(layer, event)

            event.connect(react)
            self._followed.append((event, react))
            self._prepare(layer)

    def unfollow(self) -> None:
        """Listen to no layer."""
        for event, react in self._followed:
            event.disconnect(react)
        self._followed.clear()

    def clear(self, sources: Iterable[tuple[Any, int]]) -> None:
        """Take prompts away, from the layers that were made for them; those of the user's own layers stay."""
        by_layer: dict[int, tuple[Any, list[int]]] = {}
        for layer, index in sources:
            if is_ours(layer):
                by_layer.setdefault(id(layer), (layer, []))[1].append(index)
        self._silent = True
        try:
            for layer, indices in by_layer.values():
                _remove(layer, indices)
        finally:
            self._silent = False
        self.next_object()

    def _on_drawn(self, layer: Any, event: Any) -> None:
        action = str(getattr(getattr(event, "action", "added"), "value", getattr(event, "action", "added")))
        if self._silent or action not in ("added", "removed", "changed"):
            return
        if is_ours(layer):
            if action == "added":
                self._number_new(layer, event)
            _style(layer)
            if action == "added" and self.separate and not self._excluding:
                self._number += 1
                self._announce()
        self.drawn.emit()

    def _number_new(self, layer: Any, event: Any) -> None:
        """Number what was added; napari takes the features of the last selected point or shape for it."""
        if _is_labels(layer):
            return
        numbers, excluded = read_marks(layer)
        if len(numbers):  # a shape that is too small is gone again
            new = np.asarray([*event.data_indices], dtype=int) % len(numbers)
            numbers[new], excluded[new] = self._number, self._excluding
            layer.features = {OBJECT: numbers, EXCLUDE: excluded}

    def _announce(self) -> None:
        for event, _ in self._followed:
            self._prepare(event.source)
        self.changed.emit()

    def _prepare(self, layer: Any) -> None:
        """Let paint in a layer of ours carry the number."""
        if is_ours(layer) and _is_labels(layer):
            layer.selected_label = self._number


def _is_labels(layer: Any) -> bool:
    from napari.layers import Labels

    return isinstance(layer, Labels)


def _style(layer: Any) -> None:
    """Colour prompts by their object, exclusions red."""
    if _is_labels(layer) or not len(layer.data):
        return
    numbers, excluded = read_marks(layer)
    colours = np.array([_EXCLUDED if no else _colour(n) for n, no in zip(numbers.tolist(), excluded, strict=True)])
    if hasattr(layer, "symbol"):
        layer.face_color = colours
        symbols = ["cross" if no else "disc" for no in excluded]
        if [symbol.value for symbol in layer.symbol] != symbols:  # napari draws all points again
            layer.symbol = symbols
    else:
        layer.edge_color = colours


def _colour(number: int) -> tuple[float, ...]:
    """Bright and far from red: yellow first, then hues a golden angle apart."""
    hue = 0.13 + 0.72 * ((number - 1) * 0.618034 % 1.0)
    return (*colorsys.hsv_to_rgb(hue, 0.75, 1.0), 1.0)


def _remove(layer: Any, indices: list[int]) -> None:
    if _is_labels(layer):
        _erase(layer, indices)
        return
    indices = [index for index in indices if index < len(layer.data)]
    if hasattr(layer, "symbol"):
        layer.remove(indices)
    else:
        layer.selected_data = set(indices)
        layer.remove_selected()


def _erase(layer: Labels, ids: list[int]) -> None:
    where = np.nonzero(np.isin(layer.data, ids))
    if len(where[0]):
        layer.data_setitem(where, 0)
