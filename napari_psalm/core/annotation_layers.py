"""A Labels layer that holds objects: one id per object, what is known of each in `features`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_psalm.core.category_table import NO_CATEGORY, CategoryTable
from napari_psalm.core.history import Box, LayerHistory, unique
from napari_psalm.core.image_planes import ImagePlane
from napari_psalm.core.object_colours import object_colormap
from napari_psalm.core.object_facts import COLUMNS, FoundObject, Origin
from napari_psalm.core.object_index import ObjectIndex
from napari_psalm.core.object_origins import Origins
from psalm.cutouts import Cutout
from psalm.errors import AnnotationError

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Image, Labels


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


class AnnotationLayer:
    """Objects in a Labels layer; every write is one step of the layer's own undo history.

    The table of objects follows from the pixels alone: an id stands for the same facts for ever, and other facts are
    another id. So napari's undo and redo bring pixels and table back together, whoever calls them.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer; its features are taken over.
    objects : mapping of int to FoundObject, optional
        What is known of the layer's ids; read from its features when not given.

    Raises
    ------
    AnnotationError
        When the layer's array cannot be edited in memory.
    """

    changed = Signal(object)
    """Ids of the objects that came, went, or have other pixels now."""

    def __init__(self, layer: Labels, objects: Mapping[int, FoundObject] | None = None) -> None:
        if not isinstance(layer.data, np.ndarray):
            raise AnnotationError(f"{layer.name!r} is not held in memory: choose 'New layer' for the result.")
        self.layer = layer
        self.answered: dict[bytes, int] = {}
        """Which object answers a prompt, by the prompt's key."""
        self.next_category = NO_CATEGORY
        """The class of what is painted on empty ground."""
        self.protection = ""
        """Why the objects may not be changed by us; empty when they may."""
        self.categories: CategoryTable | None = None
        self.below: Mapping[int, Cutout] = {}
        """What of an object lies below others, in a plane; it comes to light when they are deleted."""
        self.index = ObjectIndex(layer.data)
        self._facts: dict[int, FoundObject] = dict(objects or {})
        self._extra: dict[int, dict[str, Any]] = {}
        self._origins = Origins()
        self._remember()
        self._welcome(self.index.ids)
        self._history = LayerHistory(layer)
        self._history.changed.connect(self._follow)
        if objects is not None:
            self._show()

    def close(self) -> None:
        """Stop following the layer."""
        self._history.close()

    @property
    def table(self) -> pd.DataFrame:
        """The features of the objects that are there."""
        return self.layer.features

    @property
    def ids(self) -> list[int]:
        """Ids of the objects that are there, in order."""
        return self.index.ids

    def facts(self, label_id: int) -> FoundObject:
        """What is known of an object.

        Raises
        ------
        AnnotationError
            When there is no such object.
        """
        if label_id not in self.index:
            raise AnnotationError(
                f"{self.layer.name!r} has no object {label_id}: pick one in the table, or with the colour picker (L)."
            )
        return self._facts[label_id]

    def origin(self, label_id: int) -> Origin:
        """Who made an object as it is now."""
        origin = self._facts[label_id].origin
        return "both" if origin == "model" and self._origins.edits(label_id) else origin

    def edited_pixels(self, label_id: int) -> int:
        """How many pixels of an object were changed by hand since a model, or nobody, made it."""
        return self._facts[label_id].edited_pixels + self._origins.edits(label_id)

    def fits(self, plane: ImagePlane) -> bool:
        """Whether the layer has the grid of this plane's image."""
        return tuple(self.layer.data.shape) == plane.stack_shape

    def holds(self, label_id: int, plane: ImagePlane) -> bool:
        """Whether an object has pixels on this plane."""
        return label_id in self.index and bool((plane.cut(self.layer.data) == label_id).any())

    def ids_of_task(self, task: str, plane: ImagePlane) -> set[int]:
        """Ids on this plane that were predicted for a task."""
        here = unique(plane.cut(self.layer.data))
        return {label_id for label_id in here if label_id and self._facts[label_id].task == task}

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
            When the objects are protected, or the ids do not fit the layer's type.
        """
        self.check_protection()
        self._remember()
        old = plane.cut(self.layer.data)
        new = old.copy()
        new[np.isin(new, list(replaced))] = 0
        total = np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:]
        free = np.bincount(labels[new == 0], minlength=len(objects) + 1)[1:]
        wanted = (free > 0) & (free >= total / 2)
        ids = np.zeros(len(objects) + 1, dtype=np.int64)
        ids[1:][wanted] = self.new_ids(int(wanted.sum()))
        painted = ids.astype(new.dtype)[labels]
        np.copyto(new, painted, where=(painted > 0) & (new == 0))
        facts = {label_id: found for found, label_id in zip(objects, ids[1:].tolist(), strict=True) if label_id}
        changed = np.nonzero(old != new)
        self.write(plane.indices(*changed), new[changed], facts)
        return Painted(tuple(ids[1:].tolist()))

    def write(
        self, index: tuple[NDArray[np.int64], ...], values: NDArray[Any], facts: Mapping[int, FoundObject]
    ) -> None:
        """Give pixels other ids, as one step of the layer's undo history.

        Parameters
        ----------
        index : tuple of (N,) arrays of int
            The pixels, an array per axis of the layer.
        values : (N,) array of int
            Their new ids.
        facts : mapping of int to FoundObject
            What is known of ids that are new.

        Raises
        ------
        AnnotationError
            When the objects are protected.
        """
        self.check_protection()
        self._facts.update(facts)
        if len(values):
            with self.layer.block_history():
                self.layer.data_setitem(index, values.astype(self.layer.data.dtype, copy=False))
        elif facts:
            self._show()

    def extend(self, index: tuple[NDArray[np.int64], ...], values: NDArray[Any], ids: Iterable[int]) -> None:
        """Give pixels to objects as one step of the history; that a model found them is no edit by hand.

        Parameters
        ----------
        index, values
            As in `write`.
        ids : iterable of int
            The objects.

        Raises
        ------
        AnnotationError
            When the objects are protected.
        """
        before = {label_id: self._origins.edits(label_id) for label_id in ids}
        self.write(index, values, {})
        for label_id, edits in before.items():
            if label_id in self.index and self._facts[label_id].origin != "hand":
                self._origins.grow(label_id, self.index, edits)
        self._show()

    def take_outline(self, label_id: int, from_id: int) -> None:
        """Let a new id count edits from where another one does: the object is the same, its facts are not."""
        self._origins.take(label_id, from_id)

    def new_ids(self, count: int) -> NDArray[np.int64]:
        """Ids that were never used in this layer.

        Raises
        ------
        AnnotationError
            When the layer's type cannot hold them.
        """
        first = max([0, *self.index.ids[-1:], *self._facts]) + 1
        limit = np.iinfo(self.layer.data.dtype).max
        if first + count - 1 > limit:
            raise AnnotationError(
                f"{self.layer.name!r} holds at most {limit} objects: choose 'New layer' for the result."
            )
        return first + np.arange(count)

    def check_protection(self) -> None:
        """Raise `AnnotationError` when the objects may not be changed by us."""
        if self.protection:
            raise AnnotationError(self.protection)

    def set_category(self, label_id: int, name: str) -> int:
        """Give an object a class; returns its new id.

        Raises
        ------
        AnnotationError
            When there is no such object, or it is protected.
        """
        from napari_psalm.core.object_edits import set_category

        return set_category(self, [label_id], name)[0]

    def note(self, **facts: Any) -> None:
        """Keep facts about the whole layer in its metadata, which napari hands to writers."""
        self.layer.metadata["psalm"] = {**self.layer.metadata.get("psalm", {}), **facts}

    def recolour(self, table: CategoryTable) -> None:
        """Colour objects by class."""
        self.categories = table
        self.layer.colormap = object_colormap(self._facts, table)

    def look_again(self) -> None:
        """Measure everything anew, for changes that napari did not announce."""
        self._history.settle()
        self._follow(None, None)

    def _follow(self, ids: frozenset[int] | None, box: Box | None) -> None:
        """Keep up with strokes, writes, undo and redo."""
        before = set(self.index.ids) if ids is None else set()
        if ids is None or box is None:
            if isinstance(self.layer.data, np.ndarray):
                self.index = ObjectIndex(self.layer.data)
            ids = frozenset(before.union(self.index.ids))
        else:
            self.index.look_again(ids, box)
        if self._welcome(ids) and self.categories is not None:
            self.recolour(self.categories)
        self._show()
        self.changed.emit(ids)

    def _welcome(self, ids: Iterable[int]) -> bool:
        """Note what objects look like when they are first seen, and how far they are from it later.

        True when some were drawn by hand just now.
        """
        drawn = False
        for label_id in ids:
            if label_id not in self.index:
                continue
            if label_id not in self._facts:
                self._facts[label_id], drawn = FoundObject.by_hand(self.next_category), True
            if self._facts[label_id].origin == "hand":
                continue
            self._origins.look(label_id, self.index, self.below.get(label_id))
        return drawn

    def _remember(self) -> None:
        """Take over rows that the user or another plugin put into the features table."""
        table = self.layer.features
        if "index" not in table:
            return
        ours = set(COLUMNS)
        for row in table.to_dict("records"):
            label_id = int(row["index"])
            self._facts.setdefault(label_id, FoundObject.from_row(row))
            extra = {str(key): value for key, value in row.items() if key not in ours}
            if extra:
                self._extra[label_id] = extra

    def _show(self) -> None:
        """Write the rows of the objects that are there."""
        import pandas as pd

        ids = self.index.ids
        facts = [self._facts[label_id] for label_id in ids]
        columns: dict[str, list[Any]] = {
            "index": ids,
            "class": [found.category for found in facts],
            "score": [round(found.score, 3) for found in facts],
            "prompt": [found.prompt for found in facts],
            "task": [found.task for found in facts],
            "origin": [self.origin(label_id) for label_id in ids],
            "area": [self.index.area(label_id) for label_id in ids],
        }
        for name in sorted({key for row in self._extra.values() for key in row}):
            columns[name] = [self._extra.get(label_id, {}).get(name) for label_id in ids]
        self.layer.features = pd.DataFrame(columns)


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
