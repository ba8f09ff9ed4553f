"""How far objects are from what they were when they came: what a person changed of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.history import Box, union
from napari_psalm.core.object_index import ObjectIndex
from psalm.cutouts import Cutout


class Origins:
    """Remembers what objects looked like when they were first seen; undone edits are none."""

    def __init__(self) -> None:
        self._born: dict[int, Outline] = {}
        self._grown: dict[int, list[tuple[Outline, int]]] = {}
        self._edits: dict[int, int] = {}

    def edits(self, label_id: int) -> int:
        """Number of pixels in which an object differs from what it was."""
        return self._edits.get(label_id, 0)

    def take(self, label_id: int, from_id: int) -> None:
        """Let an id count from where another one does."""
        if from_id in self._born:
            self._born[label_id] = self._born[from_id]

    def grow(self, label_id: int, index: ObjectIndex, edits: int) -> None:
        """What an object looks like now is a model's work as well, but for the edits by hand that it had before."""
        outline = Outline.of(index.box(label_id), index.mask(label_id))
        self._grown.setdefault(label_id, []).append((outline, edits))
        self._edits[label_id] = edits

    def look(self, label_id: int, index: ObjectIndex, below: Cutout | None) -> None:
        """Compare an object with what it was.

        Parameters
        ----------
        label_id : int
        index : ObjectIndex
            Knows its pixels.
        below : Cutout, optional
            What of it lay below others, in a plane; that it comes to light is no edit.
        """
        box, mask = index.box(label_id), index.mask(label_id)
        if label_id not in self._born:
            self._born[label_id] = Outline.of(box, mask)
            return
        revealed = 0
        if below is not None:
            row0, column0, row1, column1 = below.box
            revealed = int(np.count_nonzero(below.mask() & (index.data[row0:row1, column0:column1] == label_id)))
        # Undo may bring back what was before the object grew, so the nearest of its outlines counts.
        known = [(self._born[label_id], -revealed), *self._grown.get(label_id, ())]
        self._edits[label_id] = min(outline.difference(box, mask) + edits for outline, edits in known)


@dataclass(frozen=True)
class Outline:
    """The pixels of an object at one time, packed."""

    box: Box
    bits: NDArray[np.uint8] = field(repr=False)

    @classmethod
    def of(cls, box: Box, mask: NDArray[np.bool_]) -> Outline:
        """Pack a mask that fills its box."""
        return cls(box, np.packbits(mask))

    def mask(self) -> NDArray[np.bool_]:
        """The mask within its box."""
        shape = tuple(axis.stop - axis.start for axis in self.box)
        return np.unpackbits(self.bits, count=int(np.prod(shape))).reshape(shape).astype(bool)

    def difference(self, box: Box, mask: NDArray[np.bool_]) -> int:
        """Number of pixels in which another mask differs."""
        if box == self.box:
            return int(np.count_nonzero(mask != self.mask()))
        around = union(box, self.box)
        both = np.zeros(tuple(axis.stop - axis.start for axis in around), dtype=bool)
        both[_within(self.box, around)] = self.mask()
        both[_within(box, around)] ^= mask
        return int(np.count_nonzero(both))


def _within(box: Box, around: Box) -> Box:
    return tuple(
        slice(axis.start - outer.start, axis.stop - outer.start) for axis, outer in zip(box, around, strict=True)
    )
