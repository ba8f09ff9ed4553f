"""Evaluate a COCO file against itself, as the field's tools would: every object must find itself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psalm.errors import AnnotationError

if TYPE_CHECKING:
    from pycocotools.coco import COCO

# Images at a time, so that the tables of COCOeval stay small.
_CHUNK = 1000
# Objects of an image at a time, for COCOeval compares each with each.
_MOST_TOGETHER = 100
# The loosest and the tightest of COCO's thresholds: an object that is its own answer passes both.
_IOU_THRESHOLDS = (0.5, 0.95)
# What pycocotools raises on files that are not as it thinks.
_FAILURES = (KeyError, IndexError, TypeError, ValueError, AttributeError, AssertionError, OverflowError)


def open_with_pycocotools(source: Path | str | Mapping[str, Any]) -> COCO:
    """Load a COCO file, or the content of one, with pycocotools, which stays silent.

    Raises
    ------
    AnnotationError
        When pycocotools fails on it.
    """
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if isinstance(source, (str, Path)):
                return COCO(str(source))
            coco = COCO()
            coco.dataset = dict(source)
            coco.createIndex()
            return coco
    except (*_FAILURES, OSError) as error:
        raise AnnotationError(f"pycocotools cannot load the file ({type(error).__name__}: {error}).") from error


def unmatched(coco: COCO) -> list[Any]:
    """Ids of the annotations that COCOeval does not find in the same file; empty where the average precision is 1.

    Crowds count as regions to ignore, as in every evaluation.

    Raises
    ------
    AnnotationError
        When pycocotools fails on the file.
    """
    lost: list[Any] = []
    try:
        coco = _in_groups(coco)
        image_ids = list(coco.imgs)
        with contextlib.redirect_stdout(io.StringIO()):
            for start in range(0, len(image_ids), _CHUNK):
                lost.extend(_unmatched_of(coco, image_ids[start : start + _CHUNK]))
    except _FAILURES as error:
        raise AnnotationError(f"pycocotools cannot evaluate the file ({type(error).__name__}: {error}).") from error
    return lost


def _in_groups(coco: COCO) -> COCO:
    """The same objects, those of crowded images on several images: each has to find itself, whatever is beside it."""
    if all(len(found) <= _MOST_TOGETHER for found in coco.imgToAnns.values()):
        return coco
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, image in coco.imgs.items():
        found = coco.imgToAnns[image_id]
        for start in range(0, len(found), _MOST_TOGETHER):
            images.append({**image, "id": len(images) + 1})
            annotations += [{**one, "image_id": len(images)} for one in found[start : start + _MOST_TOGETHER]]
    return open_with_pycocotools({**coco.dataset, "images": images, "annotations": annotations})


def _unmatched_of(coco: COCO, image_ids: Sequence[Any]) -> Iterator[Any]:
    from pycocotools.cocoeval import COCOeval

    objects = [found for image in image_ids for found in coco.imgToAnns[image] if not found.get("iscrowd")]
    if not objects:
        return
    answers = [
        {
            "image_id": found["image_id"],
            "category_id": found["category_id"],
            "segmentation": coco.annToRLE(found),
            "score": 1.0 if found.get("score") is None else float(found["score"]),
        }
        for found in objects
    ]
    run = COCOeval(coco, coco.loadRes(answers), "segm")
    run.params.imgIds = list(image_ids)
    run.params.iouThrs = np.array(_IOU_THRESHOLDS)
    run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
    most = max(len(coco.imgToAnns[image]) for image in image_ids)
    run.params.maxDets = [1, most]
    run.evaluate()
    run.accumulate()
    precision = run.eval["precision"][..., -1]
    if (precision[precision > -1] > 1 - 1e-9).all():
        return
    for result in filter(None, run.evalImgs):
        failed = (result["dtMatches"] == 0) & ~result["dtIgnore"].astype(bool)
        for place in np.flatnonzero(failed.any(axis=0)):
            yield objects[result["dtIds"][place] - 1]["id"]
