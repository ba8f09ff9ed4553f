"""The objects of the images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.errors import AnnotationError, StoreError
from psalm.store.categories import CategoryTable
from psalm.store.images import ImageTable
from psalm.store.masks import changed_pixels, encode, rle_of
from psalm.store.records import Change, NewObject, Provenance, StoredImage, StoredObject, now
from psalm.store.sources import SourceTable

_SELECT = (
    "SELECT objects.id, image_id, category_id, rle, height, width, score, row0, column0, row1, column1, area, "
    "source_id, origin, edited_pixels, edited_at FROM objects JOIN images ON images.id = image_id"
)
_COLUMNS = (
    "image_id, category_id, score, area, row0, column0, row1, column1, source_id, origin, edited_pixels, edited_at, rle"
)


class ObjectTable(ImageTable, CategoryTable, SourceTable):
    """The part of the store that knows the objects."""

    def objects(self, image_id: int) -> list[StoredObject]:
        """The objects of an image by id; masks stay encoded until they are asked for.

        Raises
        ------
        StoreError
            When there is no such image.
        """
        rows = self._rows(f"{_SELECT} WHERE image_id = ? ORDER BY objects.id", [image_id])
        if not rows:
            self.image(image_id)
        return [self._read(row) for row in rows]

    def object(self, object_id: int) -> StoredObject:
        """The object with this id.

        Raises
        ------
        StoreError
            When there is none.
        """
        return self._read(self._found(self._row(f"{_SELECT} WHERE objects.id = ?", [object_id]), f"object {object_id}"))

    def objects_of(self, category_id: int) -> Iterator[StoredObject]:
        """The objects of a category by id, read a thousand at a time, so the store may be changed meanwhile."""
        last, chunk = 0, 1000
        while True:
            rows = self._rows(
                f"{_SELECT} WHERE category_id = ? AND objects.id > ? ORDER BY objects.id LIMIT ?",
                [category_id, last, chunk],
            )
            yield from map(self._read, rows)
            if len(rows) < chunk:
                return
            last = rows[-1][0]

    def object_counts(self) -> dict[int, int]:
        """How many objects each category has, by category id; categories without objects have 0."""
        rows = self._rows("SELECT category_id, count(*) FROM objects GROUP BY category_id")
        return {category.id: 0 for category in self.categories()} | dict(rows)

    def object_count(self, category_id: int | None = None) -> int:
        """How many objects there are, of all categories or of one."""
        where, values = ("", []) if category_id is None else ("WHERE category_id = ?", [category_id])
        return int(self._found(self._row(f"SELECT count(*) FROM objects {where}", values), "objects")[0])

    def add_objects(self, image_id: int, new: Iterable[NewObject]) -> list[int]:
        """Add objects to an image and return their ids; all of them or none.

        Raises
        ------
        StoreError
            When there is no such image or category.
        AnnotationError
            When a mask does not fit the image or is empty, or a score is not a number.
        """
        return self._exchange("add", image_id, (), new)

    def remove_objects(self, object_ids: Iterable[int]) -> None:
        """Remove objects, of one image or of several; all of them or none.

        Raises
        ------
        StoreError
            When one of them is not there.
        """
        with self.transaction():
            by_image: dict[int, list[int]] = {}
            for object_id in object_ids:
                by_image.setdefault(self.object(object_id).image_id, []).append(object_id)
            for image_id, ids in by_image.items():
                self._exchange("remove", image_id, ids, ())

    def replace_objects(self, image_id: int, remove: Iterable[int] = (), add: Iterable[NewObject] = ()) -> list[int]:
        """Remove some objects of an image and add others, as one change; return the ids of the new ones.

        Raises
        ------
        StoreError
            When there is no such image or category, or an object to be removed is not on the image.
        AnnotationError
            When a mask does not fit the image or is empty, or a score is not a number.
        """
        return self._exchange("replace", image_id, remove, add)

    def update_object(
        self,
        object_id: int,
        *,
        category_id: int | None = None,
        mask: NDArray[np.bool_] | None = None,
        rle: Mapping[str, Any] | None = None,
        score: float | None = None,
        provenance: Provenance | None = None,
    ) -> StoredObject:
        """Change what is given, as a person does: without `provenance`, the change is noted as an edit by hand.

        A model's object becomes one of "both", the pixels that changed are counted, and the time is kept.

        Raises
        ------
        StoreError
            When there is no such object or category.
        AnnotationError
            When the mask does not fit the image or is empty, or the score is not a number.
        """
        with self.transaction():
            old = self.object(object_id)
            image = self.image(old.image_id)
            given = NewObject(
                old.category_id if category_id is None else category_id,
                mask,
                old.rle if mask is None and rle is None else rle,
                old.score if score is None else score,
                old.provenance if provenance is None else provenance,
            )
            values = self._values(image, given)
            counts = _counts(old)
            same = (values[1], values[2], values[-1]) == (old.category_id, old.score, counts)
            if provenance is None and not same:
                edited = _edited(old.provenance, changed_pixels(counts, values[-1], image.size))
                values = self._values(image, replace(given, provenance=edited))
            self._write(f"UPDATE objects SET ({_COLUMNS}) = ({_marks(values)}) WHERE id = ?", [*values, object_id])
            new = self.object(object_id)
            if new != old:
                self._remember("update", old.image_id, {"objects": [self._as_json(old)]}, {"objects": [object_id]})
            return new

    def restore_objects(self, objects: Iterable[StoredObject]) -> None:
        """Put removed objects back, or changed ones as they were, under their own ids: to undo.

        Raises
        ------
        StoreError
            When the image or category of one is gone, or its id never was an object of this store.
        """
        with self.transaction():
            latest = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'objects'")
            for given in objects:
                if latest is None or not 1 <= given.id <= latest[0]:
                    raise StoreError(f"{self.file} never had an object {given.id}: add it with add_objects().")
                present = self._rows(f"{_SELECT} WHERE objects.id = ?", [given.id])
                before = [self._as_json(self._read(row)) for row in present]
                new = NewObject(given.category_id, None, given.rle, given.score, given.provenance)
                values = [given.id, *self._values(self.image(given.image_id), new)]
                self._write(f"INSERT OR REPLACE INTO objects (id, {_COLUMNS}) VALUES ({_marks(values)})", values)
                self._remember("restore", given.image_id, {"objects": before}, {"objects": [given.id]})

    def past_objects(self, change: Change) -> list[StoredObject]:
        """The objects that a change of the history took away or changed, as they were before it.

        Objects that a batch replaced are left out: the history keeps no masks of them.
        """
        if change.image_id is None:
            return []
        return [
            self._from_json(record, change.image_id) for record in change.before.get("objects", ()) if "rle" in record
        ]

    def _exchange(self, action: str, image_id: int, remove: Iterable[int], add: Iterable[NewObject]) -> list[int]:
        with self.transaction():
            image = self.image(image_id)
            gone = [self.object(object_id) for object_id in dict.fromkeys(remove)]
            for found in gone:
                if found.image_id != image_id:
                    raise StoreError(f"Object {found.id} lies on image {found.image_id}, not on {image_id}.")
            self._remove(gone)
            added = self._add(image, add)
            if gone or added:
                before = {"objects": [self._as_json(found) for found in gone]}
                self._remember(action, image_id, before, {"objects": added})
            return added

    def _add(self, image: StoredImage, new: Iterable[NewObject]) -> list[int]:
        rows = (self._values(image, given) for given in new)
        return [self._insert(f"INSERT INTO objects ({_COLUMNS}) VALUES ({_marks(row)})", row) for row in rows]

    def _remove(self, objects: Sequence[StoredObject]) -> None:
        for found in objects:
            self._write("DELETE FROM objects WHERE id = ?", [found.id])

    def _values(self, image: StoredImage, given: NewObject) -> list[Any]:
        """The columns of an object, checked."""
        if not self._row("SELECT 1 FROM categories WHERE id = ?", [given.category_id]):
            self.category(given.category_id)  # says why it is not there
        if not image.height:
            raise AnnotationError(f"The size of {image.path} is not known: give it to ensure_image() first.")
        if given.score is not None and not (math.isfinite(given.score) and 0 <= given.score <= 1):
            raise AnnotationError(f"The score {given.score} is not usable: give a number from 0 to 1, or None.")
        try:
            code = encode(given.mask, given.rle, image.size)
        except AnnotationError as error:
            raise AnnotationError(f"{image.path} (image {image.id}): {error}") from error
        score = None if given.score is None else float(given.score)
        origin = given.provenance
        source = [self._source_id(origin), origin.origin, int(origin.edited_pixels), origin.edited_at]
        return [image.id, int(given.category_id), score, code.area, *code.bbox, *source, code.counts]

    def _read(self, row: tuple[Any, ...]) -> StoredObject:
        object_id, image_id, category_id, counts, height, width, score = row[:7]
        row0, column0, row1, column1, area, source_id, origin, edited_pixels, edited_at = row[7:]
        provenance = Provenance(origin, *self.source(source_id), edited_pixels, edited_at)
        rle, bbox = rle_of(counts, (height, width)), (row0, column0, row1, column1)
        return StoredObject(object_id, image_id, category_id, rle, score, bbox, area, provenance)

    def _as_json(self, found: StoredObject, with_mask: bool = True) -> dict[str, Any]:
        origin = found.provenance
        record = {
            "id": found.id,
            "category_id": found.category_id,
            "score": found.score,
            "bbox": list(found.bbox),
            "area": found.area,
            "source": self._source_id(origin),
            "origin": origin.origin,
            "edited_pixels": origin.edited_pixels,
            "edited_at": origin.edited_at,
        }
        return record | ({"rle": dict(found.rle)} if with_mask else {})

    def _from_json(self, record: Mapping[str, Any], image_id: int) -> StoredObject:
        provenance = Provenance(
            record["origin"], *self.source(record["source"]), record["edited_pixels"], record["edited_at"]
        )
        row0, column0, row1, column1 = record["bbox"]
        return StoredObject(
            record["id"],
            image_id,
            record["category_id"],
            record["rle"],
            record["score"],
            (row0, column0, row1, column1),
            record["area"],
            provenance,
        )


def _edited(provenance: Provenance, pixels: int) -> Provenance:
    return replace(
        provenance,
        origin="hand" if provenance.origin == "hand" else "both",
        edited_pixels=provenance.edited_pixels + pixels,
        edited_at=now(),
    )


def _counts(found: StoredObject) -> bytes:
    return str(found.rle["counts"]).encode("ascii")


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
