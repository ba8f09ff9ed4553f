"""The objects of one image: read from the store into a Labels layer, and written back with every change of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.object_facts import BY_HAND, FoundObject
from napari_psalm.core.object_index import ObjectIndex
from psalm.cutouts import Cutout
from psalm.errors import AnnotationError, PSALMError
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance, StoredImage, StoredObject
from psalm.store.records import now


@dataclass
class Shown:
    """Stored objects made into an array of ids.

    Parameters
    ----------
    labels : (H, W) array of uint32
        Where objects overlap, the better one is on top, and what a person made is on top of what a model made.
    facts : dict of int to FoundObject
        By id in `labels`.
    stored : dict of int to StoredObject
        By id in `labels`.
    hidden : dict of int to Cutout
        What lies below others, by id in `labels`.
    """

    labels: NDArray[np.uint32]
    facts: dict[int, FoundObject] = field(default_factory=dict)
    stored: dict[int, StoredObject] = field(default_factory=dict)
    hidden: dict[int, Cutout] = field(default_factory=dict)


def read_objects(store: AnnotationStore, image: StoredImage) -> Shown:
    """The stored objects of an image.

    Raises
    ------
    AnnotationError
        When a stored mask is damaged.
    """
    names = {category.id: category.name for category in store.categories()}
    objects = store.objects(image.id)
    shown = Shown(np.zeros(image.size, dtype=np.uint32))
    order = sorted(range(len(objects)), key=lambda i: (objects[i].provenance.origin != "model", objects[i].score or 0))
    masks = {}
    for i in order:
        found, label_id = objects[i], i + 1
        masks[label_id] = _crop(found)
        row0, column0, row1, column1 = found.bbox
        shown.labels[row0:row1, column0:column1][masks[label_id]] = label_id
        shown.facts[label_id] = facts_of(found, names[found.category_id])
        shown.stored[label_id] = found
    areas = ObjectIndex(shown.labels)
    for label_id, mask in masks.items():
        row0, column0, row1, column1 = shown.stored[label_id].bbox
        if areas.area(label_id) < shown.stored[label_id].area:
            under = mask & (shown.labels[row0:row1, column0:column1] != label_id)
            cutout = Cutout.from_mask(under, (row0, column0))
            if cutout is not None:
                shown.hidden[label_id] = cutout
    return shown


def facts_of(found: StoredObject, name: str) -> FoundObject:
    """What the store knows of an object, as the layer has it."""
    origin = found.provenance
    how = {
        "model": origin.model,
        "weights": origin.weights,
        "prompt": dict(origin.prompt),
        "thresholds": dict(origin.thresholds),
        "edited_at": origin.edited_at,
    }
    score = 1.0 if found.score is None else float(found.score)
    text, task = in_words(origin)
    return FoundObject(name, score, text, task, origin.origin, how, origin.edited_pixels)


def in_words(origin: Provenance) -> tuple[str, str]:
    """The prompt of an object, and the task that it stands for."""
    prompt = origin.prompt
    kind = prompt.get("kind")
    if kind == "sentence":
        return str(prompt.get("text", "")), "referring"
    if kind == "categories":
        return "class list", "instance"
    if kind in ("regions", "exemplar"):
        return " and ".join(map(str, prompt.get("kinds", ()))) or str(kind), "interactive"
    return (BY_HAND, BY_HAND) if origin.origin == "hand" else (origin.model or "model", "instance")


class StoredObjects:
    """Writes each change of a layer to the store, at once and whole.

    Parameters
    ----------
    store : AnnotationStore
        The dataset.
    image : StoredImage
        The image whose objects the layer holds.
    layer : AnnotationLayer
        The layer, of the size of the image.
    shown : Shown
        What was read into the layer.
    category_id : callable
        Gives the stored id of a class by its name.
    """

    saved = Signal(object)
    """The `StoredImage` after a change was written."""
    failed = Signal(str)
    """Why a change could not be written; it is tried again with the next one."""
    outdated = Signal()
    """The objects of the image had been changed by somebody else before this change."""

    def __init__(
        self,
        store: AnnotationStore,
        image: StoredImage,
        layer: AnnotationLayer,
        shown: Shown,
        category_id: Callable[[str], int],
    ) -> None:
        self.store, self.image, self.layer = store, image, layer
        self._category_id = category_id
        self._stored, self._hidden = dict(shown.stored), shown.hidden
        layer.below = shown.hidden
        self._gone: dict[int, StoredObject] = {}
        self._unsaved: set[int] = set()
        layer.changed.connect(self._save)

    @property
    def label_of(self) -> dict[int, int]:
        """The id in the layer of each stored object."""
        return {found.id: label_id for label_id, found in self._stored.items()}

    def close(self) -> None:
        """Stop following the layer, and write what napari did not announce."""
        self.layer.changed.disconnect(self._save)
        self.layer.look_again()
        changed = [label_id for label_id in {*self.layer.ids, *self._stored} if self._differs(label_id)]
        if changed or self._unsaved:
            self._save(changed)

    def _save(self, ids: Iterable[int]) -> None:
        self._unsaved.update(ids)
        after: dict[int, StoredObject | None] = {}
        try:
            with self.store.transaction():
                state = self.store.image(self.image.id).state
                outdated = state.open_to_batch and self._is_outdated()
                for label_id in sorted(self._unsaved):
                    after[label_id] = self._write(label_id)
                if state is not ImageState.IN_REVIEW:
                    self.store.set_state(self.image.id, ImageState.IN_REVIEW)
        except PSALMError as error:
            self.failed.emit(f"Not saved: {error}")
            return
        self._unsaved.clear()
        for label_id, found in after.items():
            if found is not None:
                self._stored[label_id] = found
            elif label_id in self._stored:
                self._gone[label_id] = self._stored.pop(label_id)
        self.image = self.store.image(self.image.id)
        self.saved.emit(self.image)
        if outdated:
            self.outdated.emit()

    def _write(self, label_id: int) -> StoredObject | None:
        """Bring the stored object in line with the layer's; what was undone comes back under its old id."""
        known = self._stored.get(label_id)
        if label_id not in self.layer.index:
            if known is not None:
                self.store.remove_objects([known.id])
            return None
        if known is None and label_id in self._gone:
            known = self._gone[label_id]
            self.store.restore_objects([known])
        if known is not None:
            return self.store.update_object(
                known.id, rle=self._rle(label_id), provenance=self._provenance(label_id, known)
            )
        facts = self.layer.facts(label_id)
        new = NewObject(
            self._category_id(facts.category),
            rle=self._rle(label_id),
            score=None if facts.origin == "hand" else min(max(facts.score, 0.0), 1.0),
            provenance=self._provenance(label_id, None),
        )
        return self.store.object(self.store.add_objects(self.image.id, [new])[0])

    def _rle(self, label_id: int) -> dict[str, Any]:
        """The mask as it is seen, and what of it still lies below others."""
        rows, columns = self.layer.index.box(label_id)
        cutout = Cutout.from_mask(self.layer.index.mask(label_id), (rows.start, columns.start))
        hidden = self._hidden.get(label_id)
        if cutout is None:
            raise AnnotationError(f"Object {label_id} has no pixel left: undo, or delete it.")
        if hidden is None:
            return cutout.to_rle(self.image.size)
        (a0, b0, a1, b1), (c0, d0, c1, d1) = cutout.box, hidden.box
        window = (min(a0, c0), min(b0, d0), max(a1, c1), max(b1, d1))
        above = self.layer.layer.data[window[0] : window[2], window[1] : window[3]] != 0
        both = cutout.within(window) | (hidden.within(window) & above)
        whole = Cutout.from_mask(both, window[:2])
        return (whole or cutout).to_rle(self.image.size)

    def _provenance(self, label_id: int, known: StoredObject | None) -> Provenance:
        facts, edited = self.layer.facts(label_id), self.layer.edited_pixels(label_id)
        before = str(facts.how.get("edited_at", "")) if known is None else known.provenance.edited_at
        touched = facts.origin == "hand" or edited != (facts.edited_pixels if known is None else _edits(known))
        return Provenance(
            self.layer.origin(label_id),
            str(facts.how.get("model", "")),
            str(facts.how.get("weights", "")),
            facts.how.get("prompt", {}),
            facts.how.get("thresholds", {}),
            edited,
            now() if touched else before,
        )

    def _is_outdated(self) -> bool:
        ours = {found.id for found in self._stored.values()}
        return {found.id for found in self.store.objects(self.image.id)} != ours

    def _differs(self, label_id: int) -> bool:
        """Whether an object changed without a word from napari."""
        known, hidden = self._stored.get(label_id), self._hidden.get(label_id)
        below = 0 if hidden is None else hidden.area
        if known is None:
            return True
        return known.area != self.layer.index.area(label_id) + below


def _crop(found: StoredObject) -> NDArray[np.bool_]:
    row0, column0, row1, column1 = found.bbox
    return found.mask()[row0:row1, column0:column1]


def _edits(found: StoredObject) -> int:
    return found.provenance.edited_pixels
