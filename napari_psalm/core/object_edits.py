"""Edits of objects; each is one step of the layer's undo history, pixels and table together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.history import Box
from napari_psalm.core.object_facts import FoundObject
from psalm.cutouts import Cutout
from psalm.errors import AnnotationError

Index = tuple[NDArray[np.int64], ...]


def delete(layer: AnnotationLayer, ids: Sequence[int]) -> None:
    """Take objects away; what lies below them comes to light."""
    changes = _Changes(layer)
    ids = _there(layer, ids)
    for label_id in ids:
        changes.give(label_id, 0)
    below = {other: cutout for other, cutout in layer.below.items() if other in layer.index and other not in ids}
    changes.reveal(below)
    changes.write()


def set_category(layer: AnnotationLayer, ids: Sequence[int], name: str) -> list[int]:
    """Give objects a class; returns their new ids, in order."""
    ids = _there(layer, ids)
    new = [int(label_id) for label_id in layer.new_ids(len(ids))]
    changes = _Changes(layer)
    for i, label_id in enumerate(ids):
        if layer.facts(label_id).category == name:
            new[i] = label_id
            continue
        layer.take_outline(new[i], label_id)
        changes.facts[new[i]] = layer.facts(label_id).renamed(name)
        changes.give(label_id, new[i])
    changes.write()
    return new


def merge(layer: AnnotationLayer, ids: Sequence[int]) -> int:
    """Make one object of several; it has the class, score and prompt of the largest. Returns its id.

    Raises
    ------
    AnnotationError
        When fewer than two objects are given.
    """
    ids = _there(layer, ids)
    if len(ids) < 2:
        raise AnnotationError("One object alone cannot be merged: select two or more in the table.")
    new = int(layer.new_ids(1)[0])
    changes = _Changes(layer)
    largest = layer.facts(max(ids, key=layer.index.area))
    by_hand = all(layer.origin(label_id) == "hand" for label_id in ids)
    smaller = sum(layer.index.area(label_id) for label_id in ids) - max(layer.index.area(i) for i in ids)
    changes.facts[new] = replace(largest, origin="hand" if by_hand else "both", edited_pixels=smaller)
    for label_id in ids:
        changes.give(label_id, new)
    changes.write()
    return new


def split(layer: AnnotationLayer, ids: Sequence[int]) -> list[int]:
    """Make an object of every connected part (pixels that touch at a side or corner); returns the ids of all parts.

    Raises
    ------
    AnnotationError
        When every object is in one piece.
    """
    changes = _Changes(layer)
    found: list[int] = []
    for label_id in _there(layer, ids):
        parts, count = _parts(layer.index.mask(label_id))
        if count == 1:
            found.append(label_id)
            continue
        facts = _edited(layer, label_id)
        new = layer.new_ids(count + len(changes.facts))[len(changes.facts) :]
        for part, part_id in enumerate(new.tolist(), start=1):
            changes.facts[part_id] = replace(facts, edited_pixels=facts.edited_pixels + int((parts != part).sum()))
            changes.give_mask(layer.index.box(label_id), parts == part, part_id)
            found.append(part_id)
    if not changes.facts:
        raise AnnotationError("Nothing to split: each selected object is in one piece.")
    changes.write()
    return found


def fill_holes(layer: AnnotationLayer, ids: Sequence[int]) -> int:
    """Fill what is enclosed by an object and belongs to no other; returns the number of pixels filled."""
    from scipy.ndimage import binary_fill_holes

    changes = _Changes(layer)
    for label_id in _there(layer, ids):
        box = layer.index.box(label_id)
        filled = _on_each_plane(binary_fill_holes, layer.index.mask(label_id))
        changes.give_mask(box, filled & (layer.layer.data[box] == 0), label_id)
    return changes.write()


def keep_largest(layer: AnnotationLayer, ids: Sequence[int]) -> int:
    """Take away all but the largest connected part of each object; returns the number of pixels taken away."""
    changes = _Changes(layer)
    for label_id in _there(layer, ids):
        parts, count = _parts(layer.index.mask(label_id))
        if count > 1:
            largest = int(np.bincount(parts.ravel())[1:].argmax()) + 1
            changes.give_mask(layer.index.box(label_id), (parts > 0) & (parts != largest), 0)
    return changes.write()


class _Changes:
    """Collects pixels and facts, and writes them in one step."""

    def __init__(self, layer: AnnotationLayer) -> None:
        layer.check_protection()
        self.layer = layer
        self.facts: dict[int, FoundObject] = {}
        self._index: list[Index] = []
        self._values: list[NDArray[Any]] = []

    def give(self, label_id: int, new_id: int) -> None:
        """Give an object another id; 0 takes it away."""
        self.give_mask(self.layer.index.box(label_id), self.layer.index.mask(label_id), new_id)

    def give_mask(self, box: Box, mask: NDArray[np.bool_], new_id: int) -> None:
        """Give the pixels of a mask within a box an id."""
        where = np.nonzero(mask)
        self._index.append(tuple(at + axis.start for at, axis in zip(where, box, strict=True)))
        self._values.append(np.full(len(where[0]), new_id, dtype=np.int64))

    def reveal(self, below: Mapping[int, Cutout]) -> None:
        """Give pixels that would become free to what lies below them."""
        for index, values in zip(self._index, self._values, strict=True):
            for label_id, cutout in below.items():
                row0, column0, row1, column1 = cutout.box
                rows, columns = index
                near = (rows >= row0) & (rows < row1) & (columns >= column0) & (columns < column1)
                near[near] = cutout.mask()[rows[near] - row0, columns[near] - column0]
                values[near] = label_id

    def write(self) -> int:
        """Write; returns the number of pixels."""
        if not self._values:
            return 0
        index = tuple(np.concatenate(axes) for axes in zip(*self._index, strict=True))
        values = np.concatenate(self._values)
        self.layer.write(index, values, self.facts)
        return len(values)


def _there(layer: AnnotationLayer, ids: Iterable[int]) -> list[int]:
    """The ids without repeats; all must be there."""
    chosen = [int(label_id) for label_id in dict.fromkeys(ids)]
    for label_id in chosen:
        layer.facts(label_id)
    if not chosen:
        raise AnnotationError("No object is selected: pick one in the table, or with the colour picker (L).")
    return chosen


def _edited(layer: AnnotationLayer, label_id: int) -> FoundObject:
    """The facts of an object that a person changes now."""
    facts = layer.facts(label_id)
    edited = layer.edited_pixels(label_id)
    return replace(facts, origin="hand" if facts.origin == "hand" else "both", edited_pixels=edited)


def _parts(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    from scipy.ndimage import label

    parts, count = label(mask, structure=np.ones((3,) * mask.ndim))
    return parts, int(count)


def _on_each_plane(change: Callable[[NDArray[np.bool_]], NDArray[np.bool_]], mask: NDArray[np.bool_]) -> Any:
    """Apply what is meant for planes to the last two axes of a stack."""
    result = np.empty_like(mask)
    for position in np.ndindex(mask.shape[:-2]):
        result[position] = change(mask[position])
    return result
