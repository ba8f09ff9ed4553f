"""COCO's average precision by pycocotools, and LVIS's variant for images that were checked for some classes only."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psalm.annotations import Annotations
from psalm.coco.rle import encode_mask
from psalm.evaluation.figures import mean

MOST_DETECTIONS = 100
AREAS = ("small", "medium", "large")
# pycocotools knows the smallest image part as area number 1
_ALL = 0

Ap = dict[str, float | None]


def average_precision(
    images: Sequence[tuple[int, int, int]],
    truth: Sequence[Mapping[str, Any]],
    detections: Sequence[Mapping[str, Any]],
    most_detections: int = MOST_DETECTIONS,
    ignore_unmatched: Collection[tuple[int, int]] = (),
) -> dict[int, Ap]:
    """AP, AP50, AP75 and AP by size of the object, per category id; None where the truth has no object.

    Parameters
    ----------
    images : sequence of (id, height, width)
    truth, detections : sequence of mapping
        COCO records, as `coco_records` makes them; categories without truth are left out.
    most_detections : int
        Detections that count per image and category.
    ignore_unmatched : collection of (image id, category id)
        Where the image may hold more objects than are labelled, so that a detection without partner proves nothing.
    """
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(_coco(images, truth, truth), _coco(images, truth, detections), "segm")
        run.params.imgIds = [image_id for image_id, _, _ in images]
        run.params.maxDets = [1, 10, most_detections]
        run.evaluate()
        for found in run.evalImgs:
            if found is not None and (found["image_id"], found["category_id"]) in ignore_unmatched:
                found["dtIgnore"] |= found["dtMatches"] == 0
        run.accumulate()
    # precision: IoU thresholds 0.5 to 0.95, recalls, categories, areas (the first is all), numbers of detections
    precision = run.eval["precision"][..., -1]
    return {
        category_id: {
            "ap": _valid(precision[:, :, k, _ALL]),
            "ap50": _valid(precision[0, :, k, _ALL]),
            "ap75": _valid(precision[5, :, k, _ALL]),
            **{f"ap_{area}": _valid(precision[:, :, k, i]) for i, area in enumerate(AREAS, start=1)},
        }
        for k, category_id in enumerate(run.params.catIds)
    }


def mean_ap(per_category: Mapping[int, Ap], chosen: Collection[int] | None = None) -> Ap:
    """The mean over categories (of `chosen` ones) of each figure."""
    used = [ap for category_id, ap in per_category.items() if chosen is None or category_id in chosen]
    keys = ("ap", "ap50", "ap75", *(f"ap_{area}" for area in AREAS))
    return {key: mean(ap[key] for ap in used) for key in keys}


def coco_records(image_id: int, annotations: Annotations, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """COCO records of one image without ids; `number` gives them ids."""
    return [
        {
            "image_id": image_id,
            "category_id": category_id,
            "segmentation": encode_mask(mask),
            "area": int(mask.sum()),
            "bbox": [0.0, 0.0, 1.0, 1.0],
            "iscrowd": 0,
            "score": float(score),
        }
        for mask, category_id, score in zip(annotations.masks, category_ids, annotations.scores, strict=True)
    ]


def number(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records with ids from 1: id 0 would read as "no match"."""
    return [{**record, "id": i} for i, record in enumerate(records, start=1)]


def _valid(precision: Any) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _coco(
    images: Sequence[tuple[int, int, int]], truth: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]
) -> Any:
    from pycocotools.coco import COCO

    known = {record["category_id"] for record in truth}
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image_id, "height": height, "width": width} for image_id, height, width in images],
        "categories": [{"id": i} for i in sorted(known)],
        "annotations": number([record for record in records if record["category_id"] in known]),
    }
    coco.createIndex()
    return coco
