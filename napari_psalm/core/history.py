"""Follows the undo history of a Labels layer: which objects a stroke, a write, an undo or a redo touched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.utils.events import Event

Box = tuple[slice, ...]
_MOST_STEPS = 1000
_PROBES = 8
_PART = 1 << 24


@dataclass(frozen=True)
class Step:
    """One step of the history.

    Parameters
    ----------
    ids : frozenset of int
        Objects that gained or lost pixels.
    box : tuple of slice
        Where, along every axis of the layer.
    probes : tuple of (pixel, before, after)
        A few pixels with their values, which tell whether the step is done or undone.
    """

    ids: frozenset[int]
    box: Box
    probes: tuple[tuple[tuple[int, ...], int, int], ...]

    def is_done(self, data: NDArray[Any]) -> bool:
        """Whether the array is as the step left it."""
        return all(int(data[pixel]) == after for pixel, _, after in self.probes)

    def is_undone(self, data: NDArray[Any]) -> bool:
        """Whether the array is as the step found it."""
        return bool(self.probes) and all(int(data[pixel]) == before for pixel, before, _ in self.probes)


class LayerHistory:
    """Tells what changes in a Labels layer.

    napari tells of strokes and writes (`paint`), some of them before the array has changed, but of undo and redo only
    that something is to be drawn (`set_data`). So the steps are kept here too, and after each `set_data` a few pixels
    tell whether the last step was taken back or done again.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    """

    changed = Signal(object, object)
    """The ids that were touched and their box; None and None when the whole array was replaced."""

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self._following = True
        self._done: deque[Step] = deque(maxlen=_MOST_STEPS)
        self._undone: deque[Step] = deque(maxlen=_MOST_STEPS)
        self._announced: list[Step] = []
        for event, react in self._connections():
            event.connect(react)

    def close(self) -> None:
        """Stop following the layer; calling it twice does no harm."""
        if self._following:
            self._following = False
            for event, react in self._connections():
                event.disconnect(react)

    def settle(self) -> None:
        """Tell of every step that napari announced and has carried out by now."""
        announced, self._announced = self._announced, []
        for step in announced:
            if step.is_done(self._layer.data):
                self.changed.emit(step.ids, step.box)
            else:
                self._announced.append(step)

    def _connections(self) -> tuple[tuple[Any, Any], ...]:
        events = self._layer.events
        return (
            (events.paint, self._on_paint),
            (events.labels_update, self._on_drawn),
            (events.set_data, self._on_set_data),
            (events.data, self._on_new_array),
        )

    def _on_paint(self, event: Event) -> None:
        self._undone.clear()
        step = read_step(event.value)
        if step is None:
            return
        self._done.append(step)
        self._announced.append(step)
        self.settle()

    def _on_drawn(self, event: Event) -> None:
        if self._announced:
            self.settle()

    def _on_set_data(self, event: Event) -> None:
        if self._announced:
            self.settle()
        data = self._layer.data
        if self._done and self._done[-1].is_undone(data):
            step = self._done.pop()
            self._undone.append(step)
        elif self._undone and self._undone[-1].is_done(data):
            step = self._undone.pop()
            self._done.append(step)
        else:
            return
        self.changed.emit(step.ids, step.box)

    def _on_new_array(self, event: Event) -> None:
        for steps in (self._done, self._undone, self._announced):
            steps.clear()
        self.changed.emit(None, None)


def read_step(atoms: Sequence[Any]) -> Step | None:
    """What an item of napari's history changed; None when it changed nothing."""
    edits = [edit for edit in map(_Edit.of, atoms) if edit.count]
    if not edits:
        return None
    probes = tuple(islice(_net_changes(edits), _PROBES))
    if not probes:
        return None
    ids = frozenset(label_id for edit in edits for label_id in edit.ids() if label_id)
    return Step(ids, union(*(edit.box for edit in edits)), probes)


def union(*boxes: Box) -> Box:
    """The smallest box around boxes."""
    return tuple(
        slice(min(axis.start for axis in axes), max(axis.stop for axis in axes)) for axes in zip(*boxes, strict=True)
    )


def unique(values: NDArray[Any]) -> list[int]:
    """Distinct values of an array of ids; no sort of many pixels."""
    values = values.ravel()
    if not values.size:
        return []
    if int(values.max()) > 4 * values.size + 65536 or int(values.min()) < 0:
        return [int(value) for value in np.unique(values)]
    return np.flatnonzero(count_ids(values)).tolist()


def count_ids(values: NDArray[Any]) -> NDArray[np.int64]:
    """How often each id from 0 to the largest occurs; in parts, because counting takes eight bytes for every pixel."""
    values = values.ravel()
    counts = np.zeros(int(values.max()) + 1, dtype=np.int64)
    for start in range(0, values.size, _PART):
        counts += np.bincount(values[start : start + _PART], minlength=len(counts))
    return counts


@dataclass(frozen=True)
class _Edit:
    """An atom of napari's history: pixels, their values before, and their values or one value after."""

    indices: tuple[NDArray[np.int64], ...] | None
    key: Box
    mask: NDArray[np.bool_] | None
    old: NDArray[Any]
    new: Any

    @classmethod
    def of(cls, atom: Any) -> _Edit:
        """Read an atom: of `data_setitem` a tuple, of the brush, the bucket and the polygon a box with a mask."""
        if hasattr(atom, "slice_key"):
            return cls(None, atom.slice_key, atom.mask, np.asarray(atom.old_values), atom.new_value)
        indices, old, new = atom
        return cls(tuple(np.asarray(axis).ravel() for axis in indices), (), None, np.asarray(old).ravel(), new)

    @property
    def count(self) -> int:
        return int(self.old.size)

    @property
    def box(self) -> Box:
        if self.indices is None:
            return tuple(slice(int(axis.start), int(axis.stop)) for axis in self.key)
        return tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in self.indices)

    def ids(self) -> list[int]:
        return [*unique(self.old), *unique(np.asarray(self.new))]

    def changed(self) -> Iterator[tuple[int, ...]]:
        """The pixels that got another value; a few that are spread over the edit come first."""
        new = np.asarray(self.new)
        places = np.flatnonzero(self.old.ravel() != (new.ravel() if new.size > 1 else new))
        if not places.size:
            return
        spread = places[np.unique(np.linspace(0, len(places) - 1, _PROBES).astype(int))]
        inside = None if self.mask is None else np.flatnonzero(self.mask)
        for i in chain(spread.tolist(), places.tolist()):
            if self.indices is not None:
                yield tuple(int(axis[i]) for axis in self.indices)
            else:
                shape = self.old.shape if self.mask is None else self.mask.shape
                within = np.unravel_index(i if inside is None else inside[i], shape)
                yield tuple(int(axis.start + at) for axis, at in zip(self.key, within, strict=True))

    def at(self, pixel: tuple[int, ...]) -> tuple[int, int] | None:
        """The value of a pixel before and after the edit; None when the edit left it alone."""
        i = self._place(pixel)
        if i is None:
            return None
        new = np.asarray(self.new).ravel()
        return int(self.old.ravel()[i]), int(new[i if new.size > 1 else 0])

    def _place(self, pixel: tuple[int, ...]) -> int | None:
        if self.indices is not None:
            here = np.flatnonzero(np.logical_and.reduce([a == at for a, at in zip(self.indices, pixel, strict=True)]))
            return int(here[0]) if len(here) else None
        within = tuple(at - int(axis.start) for at, axis in zip(pixel, self.key, strict=True))
        if any(not 0 <= at < axis.stop - axis.start for at, axis in zip(within, self.key, strict=True)):
            return None
        if self.mask is None:
            return int(np.ravel_multi_index(within, self.old.shape))
        if not self.mask[within]:
            return None
        return int(np.count_nonzero(self.mask.ravel()[: int(np.ravel_multi_index(within, self.mask.shape))]))


def _net_changes(edits: list[_Edit]) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Pixels that the edits together gave another value, with their values before and after."""
    seen = set()
    for edit in reversed(edits):
        for pixel in edit.changed():
            if pixel in seen:
                continue
            seen.add(pixel)
            values = [both for edit in edits if (both := edit.at(pixel)) is not None]
            before, after = values[0][0], values[-1][1]
            if before != after:
                yield pixel, before, after
