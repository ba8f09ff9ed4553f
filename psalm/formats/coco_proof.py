"""Read a COCO file back with pycocotools and compare it with the dataset it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psalm.coco.self_test import open_with_pycocotools, unmatched
from psalm.errors import AnnotationError
from psalm.formats.proof import compare_masks, disprove
from psalm.formats.records import Labelled
from psalm.formats.selection import Selection
from psalm.store import StoredObject

if TYPE_CHECKING:
    from pycocotools.coco import COCO


def prove_coco(path: Path, chosen: Selection, min_iou: float | None = None) -> tuple[int, int]:
    """Compare every mask of a COCO file with the dataset, and evaluate the file against itself.

    Parameters
    ----------
    path : Path
    chosen : Selection
        What was written to the file.
    min_iou : float, optional
        Masks need to overlap that much; they must be equal when not given.

    Returns
    -------
    tuple of int
        How many images and objects were compared.

    Raises
    ------
    AnnotationError
        When anything differs; the message names the object.
    """
    coco = open_with_pycocotools(path)
    images = objects = 0
    for labelled in chosen:
        _compare(coco, labelled, min_iou)
        images, objects = images + 1, objects + len(labelled.objects)
    if (images, objects) != (len(coco.imgs), len(coco.anns)):
        written = f"{len(coco.imgs)} images and {len(coco.anns)} objects"
        raise AnnotationError(f"The export holds {written}, the dataset {images} and {objects}: please report this.")
    lost = unmatched(coco)
    if lost:
        raise AnnotationError(
            f"COCOeval does not find object {lost[0]} in its own export, nor {len(lost) - 1} more: please report this."
        )
    return images, objects


def _compare(coco: COCO, labelled: Labelled, min_iou: float | None) -> None:
    image = coco.imgs.get(labelled.image.id)
    if image is None or (image["height"], image["width"]) != labelled.image.size:
        raise AnnotationError(f"The export lost {labelled.name}, or its size: please report this.")
    for found in labelled.objects:
        entry = coco.anns.get(found.id)
        if entry is None:
            disprove(labelled, found, "is missing")
            continue
        if (entry["image_id"], entry["category_id"]) != (found.image_id, found.category_id):
            disprove(labelled, found, "has another image or category")
        compare_masks(labelled, found, coco.annToRLE(entry), min_iou)
        _compare_numbers(labelled, found, entry, min_iou is None)


def _compare_numbers(labelled: Labelled, found: StoredObject, entry: Mapping[str, Any], exact: bool) -> None:
    row0, column0, row1, column1 = found.bbox
    box = [column0, row0, column1 - column0, row1 - row0]
    if exact and (entry["area"], entry["bbox"]) != (found.area, box):
        disprove(labelled, found, "has another area or bounding box")
    if entry.get("score") != found.score:
        disprove(labelled, found, "has another score")
