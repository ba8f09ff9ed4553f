"""A dataset as indexed PNG masks: a picture of categories and one of objects per image, and an index."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError
from psalm.formats.extras import category_entry, image_entry, object_extras
from psalm.formats.folders import INDEX, new_folder
from psalm.formats.json_lists import write_lists
from psalm.formats.painting import Painting, crop_notes, paint, segments_of
from psalm.formats.proof import compare_masks, disprove
from psalm.formats.records import ExportReport, Labelled
from psalm.formats.selection import Selection
from psalm.formats.stems import Stems
from psalm.store import AnnotationStore, ImageState, StoredCategory

CLASSES, OBJECTS = "classes", "objects"
_LARGEST = 2**16 - 1


def export_masks(
    store: AnnotationStore,
    out: Path | str,
    *,
    crop: bool = False,
    states: Collection[ImageState] | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write two pictures per image and ``psalm.json``, and read them back.

    ``classes/NAME.png`` holds category ids, with the categories' colours as its palette where all ids are below 256;
    ``objects/NAME.png`` holds numbers from 1 in 16 bits, which ``psalm.json`` explains. 0 is nothing in both.

    Parameters
    ----------
    store : AnnotationStore
    out : path
        Folder.
    crop : bool
        Where objects overlap, keep the better score on top instead of refusing the export.
    states : collection of ImageState, optional
        See `Selection`.
    overwrite : bool
        Replace an earlier export.

    Raises
    ------
    OutputError
        When the folder has other content, or cannot be written.
    AnnotationError
        When objects overlap and `crop` is False, there are more than 16 bits can count, or a mask does not come back.
    """
    out = Path(out)
    with store.snapshot(), new_folder(out, overwrite) as folder:
        chosen = Selection(store, states)
        writing = _Writing(folder, chosen, crop)
        categories = [category_entry(category) for category in chosen.categories]
        write_lists(
            folder / INDEX,
            {"format": "masks", "categories": categories},
            [("images", (writing.entry(labelled) for labelled in chosen))],
        )
        objects = sum(_prove(folder, labelled, writing) for labelled in chosen)
        notes = crop_notes(writing.cropped, writing.hidden)
        return ExportReport(out, writing.images, objects, chosen.left_out(writing.images), notes)


class _Writing:
    def __init__(self, folder: Path, chosen: Selection, crop: bool) -> None:
        self.images = self.cropped = self.hidden = 0
        self._folder, self._stems, self._crop = folder, Stems(chosen), crop
        self._palette = _palette(chosen.categories)
        highest = max((category.id for category in chosen.categories), default=0)
        if highest > _LARGEST:
            raise AnnotationError(f"A category has the id {highest}, the pictures hold up to {_LARGEST}: use coco.")

    def painting(self, labelled: Labelled) -> Painting:
        """The objects of an image as one picture."""
        if len(labelled.objects) > _LARGEST:
            raise AnnotationError(f"{labelled.name} has {len(labelled.objects)} objects, more than 16 bits: use coco.")
        return paint(labelled, segments_of(labelled), self._crop)

    def file(self, kind: str, labelled: Labelled) -> Path:
        """Where a picture of an image is."""
        return self._folder / kind / f"{self._stems.of(labelled)}.png"

    def entry(self, labelled: Labelled) -> Mapping[str, Any]:
        """Write the pictures of an image, and give its entry in the index."""
        painting = self.painting(labelled)
        self.images, self.cropped = self.images + 1, self.cropped + painting.cropped
        self.hidden += painting.hidden
        classes = np.zeros(len(labelled.objects) + 1, dtype=np.uint16)
        for segment in painting.segments:
            classes[segment.number] = segment.category_id
        _save(self.file(OBJECTS, labelled), painting.numbers.astype(np.uint16), None)
        _save(self.file(CLASSES, labelled), classes[painting.numbers], self._palette)
        objects = [
            {"number": segment.number, "category_id": segment.category_id, "score": segment.objects[0].score}
            | {"psalm": object_extras(segment.objects[0].provenance)}
            for segment in painting.segments
        ]
        return image_entry(labelled.image) | {"masks": f"{self._stems.of(labelled)}.png", "objects": objects}


def _palette(categories: Collection[StoredCategory]) -> list[int] | None:
    """Colours by category id, black first; None when a picture with a palette cannot hold the ids."""
    if any(category.id > 255 for category in categories):
        return None
    colours = np.zeros((256, 3), dtype=int)
    for category in categories:
        colours[category.id] = category.colour
    return [int(value) for value in colours.ravel()]


def _save(path: Path, values: NDArray[np.uint16], palette: list[int] | None) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    if palette is None:
        Image.fromarray(values).save(path, format="PNG")
        return
    picture = Image.fromarray(values.astype(np.uint8), mode="P")
    picture.putpalette(palette)
    picture.save(path, format="PNG")


def _prove(folder: Path, labelled: Labelled, writing: _Writing) -> int:
    from PIL import Image

    with Image.open(writing.file(OBJECTS, labelled)) as picture:
        numbers = np.asarray(picture)
    with Image.open(writing.file(CLASSES, labelled)) as picture:
        classes = np.asarray(picture)
    painting = writing.painting(labelled)
    if not np.array_equal(numbers, painting.numbers):
        raise AnnotationError(f"The picture of the objects of {labelled.name} is wrong: please report this.")
    if (classes[numbers == 0] != 0).any():
        raise AnnotationError(f"The picture of the classes of {labelled.name} is wrong: please report this.")
    for segment in painting.segments:
        (found,), mask = segment.objects, numbers == segment.number
        if (classes[mask] != found.category_id).any():
            disprove(labelled, found, "has another category")
        if not painting.cropped:
            compare_masks(labelled, found, encode_mask(mask))
    return len(painting.segments)
