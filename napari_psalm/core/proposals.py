"""What `psalm relabel` would change about the image that is shown, for a person to accept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.object_facts import FoundObject
from psalm.coco.rle import decode_segmentation
from psalm.errors import AnnotationError, PSALMError
from psalm.store import StoredImage

FILE_NAME = "relabel.json"
_FORMAT = ("psalm-relabel", 1)


@dataclass(frozen=True)
class Proposals:
    """Changes of one image's objects that other weights propose.

    Parameters
    ----------
    model, weights : str
        Who proposes.
    added, removed, changed : sequence of mapping
        As in the file: masks as RLE, objects by their stored ids.
    prompts : sequence of mapping
        What was asked.
    """

    model: str
    weights: str
    added: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    removed: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    changed: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    prompts: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @property
    def words(self) -> str:
        """How many of each: "2 to add, 1 to change"."""
        counts = ((self.added, "add"), (self.removed, "remove"), (self.changed, "change"))
        return ", ".join(f"{len(items)} to {verb}" for items, verb in counts if items)

    def still_open(self, layer: AnnotationLayer, label_of: Mapping[int, int]) -> Proposals:
        """Those that can still be accepted: their objects are there as they were, their place is free."""
        removed = [one for one in self.removed if _is_untouched(layer, label_of, one)]
        changed = [one for one in self.changed if _is_untouched(layer, label_of, one)]
        gone = [label_of[int(one["object_id"])] for one in (*removed, *changed)]
        free = (layer.layer.data == 0) | np.isin(layer.layer.data, gone)
        added = []
        for one in self.added:
            mask = decode_segmentation(one["rle"], _size(layer))
            if 2 * np.count_nonzero(mask & free) >= np.count_nonzero(mask):
                added.append(one)
        return replace(self, added=added, removed=removed, changed=changed)

    def accept(self, layer: AnnotationLayer, label_of: Mapping[int, int]) -> None:
        """Change the objects as proposed, as one step of the layer's undo history.

        Raises
        ------
        AnnotationError
            When the objects are protected, or a mask is damaged.
        """
        layer.check_protection()
        old = layer.layer.data
        new = old.copy()
        gone = [label_of[int(one["object_id"])] for one in (*self.removed, *self.changed)]
        new[np.isin(new, gone)] = 0
        comers = [*self.changed, *self.added]
        facts: dict[int, FoundObject] = {}
        for label_id, one in zip(layer.new_ids(len(comers)).tolist(), comers, strict=True):
            mask = decode_segmentation(one["rle"], _size(layer))
            new[mask & (new == 0)] = label_id
            facts[label_id] = self._facts(one)
        where = np.nonzero(old != new)
        layer.write(where, new[where], facts)

    def _facts(self, one: Mapping[str, Any]) -> FoundObject:
        prompt = self.prompts[int(one["prompt"])] if self.prompts else {}
        how = {"model": self.model, "weights": self.weights, "prompt": dict(prompt)}
        return FoundObject(str(one["category"]), float(one["score"] or 0.0), "relabel", "relabel", how=how)


def read_proposals(dataset: Path, image: StoredImage) -> Proposals | None:
    """What the file of a dataset proposes for an image; None when there is no file, or nothing about the image.

    Raises
    ------
    AnnotationError
        When the file is damaged, or of another version.
    """
    path = dataset / FILE_NAME
    if not path.is_file():
        return None
    try:
        model, weights, entries = _read(path, path.stat().st_mtime_ns)
        entry = entries.get(image.id)
        if entry is None:
            return None
        return Proposals(model, weights, entry["added"], entry["removed"], entry["changed"], entry["prompts"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, PSALMError):
            raise
        raise AnnotationError(f"{path} is damaged ({error}): run psalm relabel again.") from error


@lru_cache(maxsize=1)
def _read(path: Path, _changed_at: int) -> tuple[str, str, dict[int, Any]]:
    """Model, weights, and the entries that wait for a person, by image; kept until the file changes."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if (content["format"], content["version"]) != _FORMAT:
        raise AnnotationError(f"{path} is of another version: run psalm relabel again.")
    waiting = {int(entry["image_id"]): entry for entry in content["images"] if not entry["applied"]}
    return str(content["model"]), str(content["weights"]), waiting


def _is_untouched(layer: AnnotationLayer, label_of: Mapping[int, int], one: Mapping[str, Any]) -> bool:
    label_id = label_of.get(int(one["object_id"]))
    return label_id is not None and label_id in layer.index and layer.origin(label_id) == "model"


def _size(layer: AnnotationLayer) -> tuple[int, int]:
    height, width = layer.layer.data.shape[-2:]
    return int(height), int(width)
