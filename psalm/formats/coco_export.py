"""A dataset as a COCO instances file, proved by reading it back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from pathlib import Path
from typing import Any

from psalm import __version__
from psalm.coco.polygons import exact_polygons, simplified_polygons
from psalm.coco.rle import area_of, bbox_of, cut_out, to_rle
from psalm.errors import AnnotationError, OutputError
from psalm.files import replacing
from psalm.formats.coco_proof import prove_coco
from psalm.formats.extras import category_entry, image_entry, object_extras
from psalm.formats.json_lists import write_lists
from psalm.formats.records import ExportReport
from psalm.formats.selection import Selection
from psalm.store import AnnotationStore, ImageState, StoredObject

Progress = Callable[[int, int, str], None]


class Polygons(str, Enum):
    """How polygons stand for masks."""

    EXACT = "exact"
    SIMPLIFIED = "simplified"


def export_coco(
    store: AnnotationStore,
    out: Path | str,
    *,
    polygons: Polygons | None = None,
    min_iou: float = 0.95,
    states: Collection[ImageState] | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write the objects of a dataset to a COCO instances file, and read it back with pycocotools.

    Masks are RLE unless polygons are asked for. Ids are those of the dataset and stay the same in every export. What
    COCO does not know is under the key ``psalm``. The file appears after it has been proved.

    Parameters
    ----------
    store : AnnotationStore
    out : path
    polygons : Polygons, optional
        Exact ones become the same masks again in pycocotools, simplified ones masks with at least `min_iou`.
    min_iou : float
    states : collection of ImageState, optional
        See `Selection`.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    ExportReport

    Raises
    ------
    OutputError
        When the file exists and `overwrite` is False, or cannot be written.
    AnnotationError
        When a mask does not come back as it was written; the message names the object.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists: choose another name, or allow it to be overwritten (--overwrite).")
    shapes = _Shapes(polygons, min_iou)
    with store.snapshot(), replacing(out) as temporary:
        chosen = Selection(store, states)
        write_lists(
            temporary,
            {"info": info(), "licenses": [], "categories": [category_entry(found) for found in chosen.categories]},
            [
                ("images", (image_entry(labelled.image) for labelled in chosen)),
                ("annotations", (shapes.entry(found) for labelled in chosen for found in labelled.objects)),
            ],
        )
        lost = min_iou if polygons is Polygons.SIMPLIFIED else None
        images, objects = prove_coco(temporary, chosen, lost)
        return ExportReport(out, images, objects, chosen.left_out(images), shapes.notes())


def info() -> dict[str, Any]:
    """Head of a COCO file."""
    return {"description": "Instances in COCO format", "version": "1.0", "contributor": f"psalm {__version__}"}


class _Shapes:
    """Makes annotation entries, and counts the masks that no polygon can hold."""

    def __init__(self, polygons: Polygons | None, min_iou: float) -> None:
        if not 0 < min_iou <= 1:
            raise AnnotationError(f"The least IoU is {min_iou}: give a number above 0 and at most 1.")
        self._polygons, self._min_iou = polygons, min_iou
        self._kept_as_rle = 0

    def entry(self, found: StoredObject) -> dict[str, Any]:
        """An object as COCO writes it."""
        segmentation = self._segmentation(found)
        rle = found.rle if self._polygons is not Polygons.SIMPLIFIED else to_rle(segmentation, tuple(found.rle["size"]))
        entry: dict[str, Any] = {
            "id": found.id,
            "image_id": found.image_id,
            "category_id": found.category_id,
            "segmentation": segmentation,
            "area": area_of(rle),
            "bbox": bbox_of(rle),
            "iscrowd": int(bool(found.provenance.prompt.get("iscrowd"))),
        }
        score = {} if found.score is None else {"score": found.score}
        return entry | score | {"psalm": object_extras(found.provenance)}

    def _segmentation(self, found: StoredObject) -> Any:
        if self._polygons is None:
            return dict(found.rle)
        size = tuple(found.rle["size"])
        mask, origin = cut_out(found.rle)
        if self._polygons is Polygons.SIMPLIFIED:
            return simplified_polygons(mask, self._min_iou, origin)
        rings = exact_polygons(mask, origin)
        try:
            if to_rle(rings, size) == dict(found.rle):
                return rings
        except AnnotationError:  # too long for pycocotools
            pass
        self._kept_as_rle += 1
        return dict(found.rle)

    def notes(self) -> tuple[str, ...]:
        """What should be said about the shapes."""
        if not self._kept_as_rle:
            return ()
        return (f"{self._kept_as_rle} objects stayed RLE: no polygon gives pycocotools exactly their masks.",)
