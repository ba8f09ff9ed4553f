"""Bring the objects of a file into a dataset, each once, however often the file is imported."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psalm.coco.faults import Fault, refuse_fatal
from psalm.errors import AnnotationError
from psalm.formats.records import ImportReport, Incoming, IncomingImage, IncomingObject
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance, StoredImage, StoredObject, content_hash

Progress = Callable[[int, int, str], None]


def merge(
    store: AnnotationStore,
    incoming: Incoming,
    *,
    state: ImageState = ImageState.IN_REVIEW,
    similar_iou: float = 0.9,
    skip_faulty: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Add the images, categories and objects of a file to a dataset.

    Images are told by path and page, categories by name or synonym, objects by their category and mask, or by the file
    and id they were once imported from. What the dataset has is not changed, save that a verified image which gains
    objects is in review again. Each image is one transaction, so an interrupted import goes on when it is repeated.

    Parameters
    ----------
    store : AnnotationStore
    incoming : Incoming
    state : ImageState
        Of images that are new here, where the file says nothing.
    similar_iou : float
        An object is left out when the image has one of its category that overlaps it by more than this; 1 adds it.
    skip_faulty : bool
        Leave out entries with faults instead of refusing the file.
    progress : callable, optional
        Called as ``progress(done, total, path)``.

    Raises
    ------
    AnnotationError
        When an entry cannot be used and `skip_faulty` is False; nothing is changed then.
    """
    if not 0 <= similar_iou <= 1:
        raise AnnotationError(f"The IoU {similar_iou} is not usable: give a number from 0 to 1.")
    faults = [*incoming.faults, *_conflicts(store, incoming)]
    if not skip_faulty:
        refuse_fatal(incoming.source, faults)
    merging = _Merging(store, similar_iou, state, _digest(incoming.source), incoming.source.name)
    merging.categories(incoming)
    clashing = {fault.where for fault in faults if fault.kind == _CLASH}
    images = [image for image in incoming.images if image.where not in clashing]
    for done, image in enumerate(images):
        if progress:
            progress(done, len(images), image.path)
        merging.image(image)
    if progress:
        progress(len(images), len(images), "")
    left_out = tuple(fault for fault in faults if fault.fatal)
    counts = merging.counts
    return ImportReport(
        len(images), counts["added"], counts["known"], counts["similar"], left_out, tuple(merging.notes)
    )


_CLASH = "size differs from the dataset"


def _conflicts(store: AnnotationStore, incoming: Incoming) -> Iterator[Fault]:
    for image in incoming.images:
        known = store.find_image(image.path, image.page)
        if known and known.height and known.size != (image.height, image.width):
            size = f"{known.height} x {known.width} in the dataset, {image.height} x {image.width} in the file"
            yield Fault(_CLASH, image.where, f"the image is {size}", "import annotations of this version of the image")


def _digest(path: Path) -> str:
    return content_hash(path)[:16] if path.is_file() else hashlib.sha256(str(path).encode()).hexdigest()[:16]


@dataclass
class _Merging:
    """An import under way."""

    store: AnnotationStore
    similar_iou: float
    state: ImageState
    digest: str
    file: str
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)

    def categories(self, incoming: Incoming) -> None:
        """Find or add the categories."""
        with self.store.transaction():
            for category in incoming.categories:
                known = self.store.find_category(category.name)
                if known is None:
                    free = tuple(name for name in category.synonyms if not self.store.find_category(name))
                    known = self.store.ensure_category(
                        category.name,
                        category.is_thing,
                        category.supercategory,
                        free,
                        category.colour,
                        category.shortcut,
                        category.id,
                    )
                elif known.is_thing and not category.is_thing:
                    self.notes.append(f"{known.name!r} is a thing in the dataset and stuff in the file; it stays one.")
                self.ids[category.name] = known.id

    def image(self, image: IncomingImage) -> None:
        """Add an image with those of its objects that the dataset does not have."""
        with self.store.transaction():
            stored = self.store.ensure_image(image.path, image.page, image.height, image.width, self._hash(image))
            before = self.store.objects(stored.id)
            new = self._new(image, before)
            self.store.add_objects(stored.id, [self._object(found) for found in new])
            self._set_state(stored, image, bool(new), bool(before))
        self.counts["added"] += len(new)

    def _hash(self, image: IncomingImage) -> str:
        path = self.store.image_root / image.path
        return content_hash(path) if path.exists() else image.content_hash

    def _set_state(self, stored: StoredImage, image: IncomingImage, gained: bool, had: bool) -> None:
        if stored.state is ImageState.TODO and not had:
            self.store.set_state(stored.id, image.state or self.state, image.error)
        elif stored.state is ImageState.VERIFIED and gained:
            self.store.set_state(stored.id, ImageState.IN_REVIEW)

    def _new(self, image: IncomingImage, before: list[StoredObject]) -> list[IncomingObject]:
        present = Counter((found.category_id, str(found.rle["counts"])) for found in before)
        imported = {found.provenance.prompt.get("object") for found in before if self._from_here(found)}
        new = []
        for found in image.objects:
            key = (self.ids[found.category], str(found.rle["counts"]))
            if present[key] or (found.provenance is None and found.key in imported):
                present[key] -= 1
                self.counts["known"] += 1
            elif self._resembles(found, before):
                self.counts["similar"] += 1
            else:
                new.append(found)
        return new

    def _from_here(self, found: StoredObject) -> bool:
        prompt = found.provenance.prompt
        return prompt.get("kind") == "import" and prompt.get("hash") == self.digest

    def _resembles(self, found: IncomingObject, before: list[StoredObject]) -> bool:
        from pycocotools import mask as coco_mask

        others = [dict(other.rle) for other in before if other.category_id == self.ids[found.category]]
        if not others or self.similar_iou >= 1:
            return False
        return bool((coco_mask.iou([dict(found.rle)], others, [0] * len(others)) > self.similar_iou).any())

    def _object(self, found: IncomingObject) -> NewObject:
        provenance = found.provenance or self._foreign(found)
        return NewObject(self.ids[found.category], rle=found.rle, score=found.score, provenance=provenance)

    def _foreign(self, found: IncomingObject) -> Provenance:
        prompt: dict[str, Any] = {"kind": "import", "file": self.file, "hash": self.digest, "object": found.key}
        if found.crowd:
            prompt["iscrowd"] = True
        # A score is what a model gives.
        return Provenance("hand" if found.score is None else "model", prompt=prompt)
