"""A dataset as COCO panoptic: a JSON file, and a picture of segment ids per image."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from psalm.coco.rle import area_of, bbox_of, masks_by_value
from psalm.errors import AnnotationError
from psalm.formats.coco_export import info
from psalm.formats.extras import category_entry, image_entry, object_extras
from psalm.formats.folders import INDEX, new_folder
from psalm.formats.json_lists import to_json, write_lists
from psalm.formats.painting import Painting, Segment, crop_notes, paint, segments_of
from psalm.formats.panoptic_png import MAX_ID, write_ids
from psalm.formats.panoptic_proof import prove_panoptic
from psalm.formats.records import ExportReport, Labelled
from psalm.formats.selection import Selection
from psalm.formats.stems import Stems
from psalm.store import AnnotationStore, ImageState

FILE, PICTURES = "panoptic.json", "panoptic"


def export_panoptic(
    store: AnnotationStore,
    out: Path | str,
    *,
    crop: bool = False,
    states: Collection[ImageState] | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write ``panoptic.json`` and the pictures of the folder ``panoptic``, and read both back.

    All objects of a stuff category are one segment, as COCO wants it.

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
        When objects overlap and `crop` is False, or a mask does not come back.
    """
    out = Path(out)
    with store.snapshot(), new_folder(out, overwrite) as folder:
        chosen = Selection(store, states)
        writing = _Writing(folder, chosen, crop)
        write_lists(
            folder / FILE,
            {"info": info(), "licenses": [], "categories": [category_entry(found) for found in chosen.categories]},
            [
                ("images", (image_entry(labelled.image) for labelled in chosen)),
                ("annotations", (writing.entry(labelled) for labelled in chosen)),
            ],
        )
        (folder / INDEX).write_text(to_json({"format": "coco-panoptic"}), encoding="utf-8")
        images, objects = prove_panoptic(folder / FILE, folder / PICTURES, chosen, writing.stuff, crop)
        notes = crop_notes(writing.cropped, writing.hidden)
        return ExportReport(out, images, objects, chosen.left_out(images), notes)


class _Writing:
    def __init__(self, folder: Path, chosen: Selection, crop: bool) -> None:
        self.stuff = frozenset(category.id for category in chosen.categories if not category.is_thing)
        self.cropped = self.hidden = 0
        self._pictures, self._stems, self._crop = folder / PICTURES, Stems(chosen), crop

    def entry(self, labelled: Labelled) -> dict[str, Any]:
        """Write the picture of an image, and give its annotation entry."""
        segments = segments_of(labelled, self.stuff)
        if len(segments) > MAX_ID:
            raise AnnotationError(f"{labelled.name} has {len(segments)} objects, the format holds {MAX_ID}: use coco.")
        painting = paint(labelled, segments, self._crop, self.stuff)
        self.cropped, self.hidden = self.cropped + painting.cropped, self.hidden + painting.hidden
        name = f"{self._stems.of(labelled)}.png"
        write_ids(self._pictures / name, painting.numbers)
        infos = list(_infos(painting, self.stuff))
        return {"image_id": labelled.image.id, "file_name": name, "segments_info": infos}


def _infos(painting: Painting, stuff: frozenset[int]) -> Iterator[dict[str, Any]]:
    masks = masks_by_value(painting.numbers)
    for segment in painting.segments:
        rle = masks[segment.number]
        entry = {
            "id": segment.number,
            "category_id": segment.category_id,
            "area": area_of(rle),
            "bbox": bbox_of(rle),
            "iscrowd": int(any(found.provenance.prompt.get("iscrowd") for found in segment.objects)),
        }
        yield entry | ({} if segment.category_id in stuff else _thing_extras(segment))


def _thing_extras(segment: Segment) -> dict[str, Any]:
    (found,) = segment.objects
    score = {} if found.score is None else {"score": found.score}
    return score | {"psalm": object_extras(found.provenance)}
