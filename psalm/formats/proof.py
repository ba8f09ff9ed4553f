"""Compare what was read back with what was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from psalm.errors import AnnotationError
from psalm.formats.records import Labelled
from psalm.store import StoredObject


def disprove(labelled: Labelled, found: StoredObject, what: str) -> NoReturn:
    """Raise the error that says which object did not come back.

    Raises
    ------
    AnnotationError
        Always.
    """
    raise AnnotationError(
        f"The export is not what the dataset holds: object {found.id} of {labelled.name} {what}. Nothing was written; "
        "please report this."
    )


def compare_masks(
    labelled: Labelled, found: StoredObject, back: Mapping[str, Any], min_iou: float | None = None
) -> None:
    """Compare an object's mask with the RLE that an independent reader made of the file.

    Raises
    ------
    AnnotationError
        When they differ, or overlap less than `min_iou`.
    """
    from pycocotools import mask as coco_mask

    counts = back["counts"].encode("ascii") if isinstance(back["counts"], str) else back["counts"]
    if list(back["size"]) != list(found.rle["size"]):
        disprove(labelled, found, "has another size")
    if counts == str(found.rle["counts"]).encode("ascii"):
        return
    iou = float(coco_mask.iou([{"size": back["size"], "counts": counts}], [dict(found.rle)], [0])[0, 0])
    if iou < (1 if min_iou is None else min_iou):
        disprove(labelled, found, f"has another mask (IoU {iou:.4f})")
