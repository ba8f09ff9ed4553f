"""Where the objects of an array of ids are, and how large; kept up to date by looking at what was touched only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.history import Box, count_ids, union

_ONE_BY_ONE = 12
"""Up to so many objects are looked for one by one, more of them together in the box around all."""


class ObjectIndex:
    """Area and box of every object.

    Parameters
    ----------
    data : (...) array of int
        Ids; 0 is no object.
    """

    def __init__(self, data: NDArray[Any]) -> None:
        self.data = data
        self._found: dict[int, tuple[int, Box]] = {}
        self.look_everywhere()

    def __contains__(self, label_id: int) -> bool:
        return label_id in self._found

    @property
    def ids(self) -> list[int]:
        """Ids of the objects that are there, in order."""
        return sorted(self._found)

    def area(self, label_id: int) -> int:
        """Number of pixels; 0 for what is not there."""
        return self._found[label_id][0] if label_id in self._found else 0

    def box(self, label_id: int) -> Box:
        """The smallest box along every axis of the array.

        Raises
        ------
        KeyError
            When there is no such object.
        """
        return self._found[label_id][1]

    def mask(self, label_id: int) -> NDArray[np.bool_]:
        """The object within its box."""
        return np.asarray(self.data[self.box(label_id)] == label_id)

    def nearest(self, label_id: int, position: Sequence[float]) -> tuple[tuple[int, ...], Box]:
        """The slice nearest to a position that shows an object, and the object's box (rows, columns) there.

        Along a video an object may leave and come back, and be elsewhere in every frame.

        Parameters
        ----------
        label_id : int
        position : sequence of float
            Along every axis but the last two.

        Raises
        ------
        KeyError
            When there is no such object.
        """
        box = self.box(label_id)
        slices = product(*(range(axis.start, axis.stop) for axis in box[:-2]))
        for at in sorted(slices, key=lambda at: sum(abs(i - p) for i, p in zip(at, position, strict=True))):
            mask = self.data[at][box[-2:]] == label_id
            if mask.any():
                lines = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
                starts = [axis.start for axis in box[-2:]]
                place = [slice(s + int(n[0]), s + int(n[-1]) + 1) for s, n in zip(starts, lines, strict=True)]
                return at, tuple(place)
        raise KeyError(label_id)

    def look_everywhere(self) -> None:
        """Measure everything anew."""
        self._found = measure(self.data, tuple(slice(0, length) for length in self.data.shape))

    def look_again(self, ids: Collection[int], box: Box) -> None:
        """Measure objects that gained or lost pixels within a box.

        Parameters
        ----------
        ids : collection of int
        box : tuple of slice
        """
        places = {i: union(box, self._found[i][1]) if i in self._found else box for i in ids}
        if len(places) <= _ONE_BY_ONE:
            found = {i: one for i, place in places.items() if (one := _measure_one(self.data, i, place)) is not None}
        else:
            everything = measure(self.data, union(*places.values()))
            found = {i: everything[i] for i in places if i in everything}
        for i in places:
            self._found.pop(i, None)
        self._found.update(found)


def measure(data: NDArray[Any], box: Box) -> dict[int, tuple[int, Box]]:
    """Area and box of every object within a box of an array of ids."""
    from scipy.ndimage import find_objects

    region = np.ascontiguousarray(data[box])
    if not region.size or not region.any():
        return {}
    names: NDArray[Any] | None = None
    if int(region.max()) > 4 * region.size + 65536 or int(region.min()) < 0:
        names, inverse = np.unique(region, return_inverse=True)
        region = inverse.reshape(region.shape)
    areas = count_ids(region)
    shift = 0 if names is None else 1  # find_objects looks from 1 on
    boxes = find_objects(region + shift if shift else region)
    found = {}
    for i in np.flatnonzero(areas).tolist():
        label_id = i if names is None else int(names[i])
        if label_id:
            place = boxes[i - 1 + shift]
            at = tuple(slice(p.start + b.start, p.stop + b.start) for p, b in zip(place, box, strict=True))
            found[label_id] = (int(areas[i]), at)
    return found


def _measure_one(data: NDArray[Any], label_id: int, box: Box) -> tuple[int, Box] | None:
    mask = data[box] == label_id
    area = int(np.count_nonzero(mask))
    if not area:
        return None
    place = []
    for axis, within in enumerate(box):
        others = tuple(i for i in range(mask.ndim) if i != axis)
        here = np.flatnonzero(mask.any(axis=others))
        place.append(slice(int(within.start + here[0]), int(within.start + here[-1] + 1)))
    return area, tuple(place)
