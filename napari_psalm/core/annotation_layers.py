"""A Labels layer that holds objects: one id per object, what is known of each in `features`."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.category_table import CategoryTable, colour_of
from napari_psalm.core.image_planes import ImagePlane
from psalm.errors import AnnotationError

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

COLUMNS = ("index", "class", "score", "prompt", "task")
"""Columns of `features`; `index` is the id in the layer, which napari's status bar looks up."""

_SHADES = 5
_COUNT_LIMIT = 2**27


@dataclass(frozen=True)
class FoundObject:
    """What the features say of an object: its class, score, what it answers in words, and the task."""

    category: str
    score: float
    prompt: str
    task: str

    def row(self, label_id: int) -> dict[str, Any]:
        """A row of features."""
        values = (label_id, self.category, round(self.score, 3), self.prompt, self.task)
        return dict(zip(COLUMNS, values, strict=True))


@dataclass(frozen=True)
class Painted:
    """What a prediction changed: the new id of each object, 0 for one that was there already."""

    ids: tuple[int, ...]

    @property
    def added(self) -> int:
        """Number of objects painted."""
        return sum(label_id > 0 for label_id in self.ids)

    @property
    def covered(self) -> int:
        """Number of objects left out because others hold most of their pixels."""
        return len(self.ids) - self.added


@dataclass(frozen=True)
class _Anchor:
    """A pixel that an object was given, and the plane to search when the pixel has changed hands."""

    pixel: tuple[int, ...]
    plane: tuple[int | slice, ...]


class AnnotationLayer:
    """Paints objects into a Labels layer through napari's history and keeps its features in step with undo.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer; its features are taken over.

    Raises
    ------
    AnnotationError
        When the layer's array cannot be edited in memory.
    """

    def __init__(self, layer: Labels) -> None:
        if not isinstance(layer.data, np.ndarray):
            raise AnnotationError(f"{layer.name!r} is not held in memory: choose 'New layer' for the result.")
        self.layer = layer
        self.answered: dict[bytes, int] = {}
        """Which object answers a prompt, by the prompt's key."""
        self._rows: dict[int, dict[str, Any]] = {}
        self._anchors: dict[int, _Anchor] = {}
        self._remember()
        layer.events.set_data.connect(self._follow_history)

    def close(self) -> None:
        """Stop following the layer."""
        self.layer.events.set_data.disconnect(self._follow_history)

    @property
    def table(self) -> pd.DataFrame:
        """The features of the objects that are there."""
        return self.layer.features

    def fits(self, plane: ImagePlane) -> bool:
        """Whether the layer has the grid of this plane's image."""
        return tuple(self.layer.data.shape) == plane.stack_shape

    def holds(self, label_id: int, plane: ImagePlane) -> bool:
        """Whether an object has pixels on this plane."""
        return bool((plane.cut(self.layer.data) == label_id).any())

    def ids_of_task(self, task: str, plane: ImagePlane) -> set[int]:
        """Ids on this plane that were predicted for a task."""
        here = np.unique(plane.cut(self.layer.data)).tolist()
        return {label_id for label_id in here if self._rows.get(label_id, {}).get("task") == task}

    def paint(
        self, plane: ImagePlane, labels: NDArray[Any], objects: Sequence[FoundObject], replaced: Iterable[int] = ()
    ) -> Painted:
        """Write objects as one step of the layer's undo history.

        An object takes free pixels only. One that finds less than half of its pixels free was there before and is
        left out.

        Parameters
        ----------
        plane : ImagePlane
            Where to write.
        labels : (height, width) array of int
            Object i has the value i + 1.
        objects : sequence of FoundObject
            What is known of each object.
        replaced : iterable of int
            Ids that are taken away in the same step.

        Raises
        ------
        AnnotationError
            When the ids do not fit the layer's type.
        """
        self._remember()
        old = plane.cut(self.layer.data)
        new = old.copy()
        new[np.isin(new, list(replaced))] = 0
        total = np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:]
        free = np.bincount(labels[new == 0], minlength=len(objects) + 1)[1:]
        wanted = (free > 0) & (free >= total / 2)
        ids = np.zeros(len(objects) + 1, dtype=np.int64)
        ids[1:][wanted] = self._next_id() + np.arange(wanted.sum())
        self._check_type(int(ids.max()))
        painted = ids.astype(new.dtype)[labels]
        np.copyto(new, painted, where=(painted > 0) & (new == 0))
        for found, label_id in zip(objects, ids[1:].tolist(), strict=True):
            if label_id:
                self._rows[label_id] = found.row(label_id)
        self._write(plane, old, new)
        return Painted(tuple(ids[1:].tolist()))

    def set_category(self, label_id: int, name: str) -> None:
        """Give an object a class.

        Raises
        ------
        AnnotationError
            When there is no such object.
        """
        self._remember()
        if label_id == 0 or not (self.layer.data == label_id).any():
            raise AnnotationError(
                f"{self.layer.name!r} has no object {label_id}: pick one with the colour picker of the layer controls."
            )
        by_hand = FoundObject(name, 1.0, "by hand", "by hand").row(label_id)
        self._rows[label_id] = {**by_hand, **self._rows.get(label_id, {}), "class": name}
        self._show()

    def note(self, **facts: Any) -> None:
        """Keep facts about the whole layer in its metadata, which napari hands to writers."""
        self.layer.metadata["psalm"] = {**self.layer.metadata.get("psalm", {}), **facts}

    def recolour(self, table: CategoryTable) -> None:
        """Colour objects by class: one hue per class, a few shades of it so that neighbours can be told apart."""
        from napari.utils import DirectLabelColormap

        colours: dict[int | None, Any] = {None: (*colour_of(0), 1.0), 0: (0.0, 0.0, 0.0, 0.0)}
        for label_id, row in self._rows.items():
            colours[label_id] = _shade(colour_of(table.id_of(str(row.get("class", "")))), label_id)
        self.layer.colormap = DirectLabelColormap(color_dict=colours)

    def _write(self, plane: ImagePlane, old: NDArray[Any], new: NDArray[Any]) -> None:
        changed = np.nonzero(old != new)
        values, index = new[changed], plane.indices(*changed)
        for label_id, first in _first_pixels(values):
            self._anchors[label_id] = _Anchor(tuple(int(axis[first]) for axis in index), plane.slicer)
        if len(values):
            with self.layer.block_history():
                self.layer.data_setitem(index, values)
        self._show()

    def _next_id(self) -> int:
        data = self.layer.data
        seen = int(data.max()) if 0 < data.size <= _COUNT_LIMIT else int(self.layer.selected_label)
        return max([seen, *self._rows]) + 1

    def _check_type(self, top: int) -> None:
        limit = np.iinfo(self.layer.data.dtype).max
        if top > limit:
            raise AnnotationError(
                f"{self.layer.name!r} holds at most {limit} objects: choose 'New layer' for the result."
            )

    def _remember(self) -> None:
        """Take over rows that the user or another plugin put into the features table."""
        table = self.layer.features
        if "index" in table:
            for row in table.to_dict("records"):
                self._rows[int(row["index"])] = {str(key): value for key, value in row.items()}

    def _present(self, label_id: int) -> bool:
        anchor = self._anchors.get(label_id)
        if anchor is None or self.layer.data[anchor.pixel] == label_id:
            return True
        return bool((self.layer.data[anchor.plane] == label_id).any())

    def _show(self) -> None:
        """Write the rows of the objects that are there."""
        import pandas as pd

        rows = [row for label_id, row in sorted(self._rows.items()) if self._present(label_id)]
        self.layer.features = pd.DataFrame(rows, columns=None if rows else list(COLUMNS))

    def _follow_history(self) -> None:
        """After undo and redo, which only tell that pixels changed, show the rows of what is there now."""
        table = self.layer.features
        shown = set(table["index"].tolist()) if "index" in table else set()
        if any((label_id in shown) != self._present(label_id) for label_id in self._rows):
            self._remember()
            self._show()


def new_annotation_layer(viewer: ViewerModel, plane: ImagePlane) -> Labels:
    """Add an empty Labels layer on the grid of the plane's image, above it."""
    from napari.layers import Labels

    data = np.zeros(plane.stack_shape, dtype=np.uint32)
    layer = Labels(data, name=f"{plane.layer.name} objects", opacity=0.6, **plane.placement())
    layer.metadata["psalm"] = {"file_name": file_name_of(plane.layer)}
    viewer.layers.insert(viewer.layers.index(plane.layer) + 1, layer)
    return layer


def file_name_of(image: Image) -> str:
    """The name under which an image is known outside: that of its file, or of its layer."""
    from pathlib import Path

    path = image.source.path
    return Path(path).name if path else f"{image.name}.png"


def _first_pixels(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Each id among new values, which are consecutive ids or 0, and where it comes first; no sort of many pixels."""
    positions = np.flatnonzero(values)[::-1]
    if len(positions) == 0:
        return
    ids = values[positions].astype(np.int64)
    lowest = int(ids.min())
    first = np.full(int(ids.max()) - lowest + 1, -1)
    first[ids - lowest] = positions
    for offset, position in enumerate(first.tolist()):
        if position >= 0:
            yield lowest + offset, position


def _shade(colour: tuple[float, float, float], label_id: int) -> tuple[float, float, float, float]:
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    step = (label_id * 2 % _SHADES) / (_SHADES - 1)
    return (*colorsys.hsv_to_rgb(hue, saturation * (1.25 - 0.65 * step), value * (0.72 + 0.28 * step)), 1.0)
