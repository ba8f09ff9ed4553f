"""The annotations of a COCO file: masks, and what is written beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from psalm.coco.inspection import FoundAnnotation, FoundImage, Inspection, Key, entries
from psalm.coco.rle import area_of, bbox_of, pixels_of, to_rle
from psalm.coco.values import as_key, as_number, shown
from psalm.errors import AnnotationError

# Pixels by which a box may miss: it is measured on the polygon, or on the pixels that it fills.
_BOX_SLACK = 0.5
# A box that is read in another way may also leave out its last row and column.
_OTHER_READING = 1.01
_RINGS_COMPARED = 20


def inspect_annotations(found: Inspection, content: Mapping[str, Any]) -> None:
    """Check the annotation entries against images and categories, which must have been inspected before."""
    seen: set[tuple[Key, Key, str]] = set()
    crowds = 0
    for _, key, record, where in entries(found, content, "annotations"):
        image, category = as_key(record.get("image_id")), as_key(record.get("category_id"))
        if not _known(found, image, category, record, where) or image is None or category is None:
            continue
        rle = _mask(found, record, found.images[image], where)
        if rle is None or not _numbers(found, record, where):
            continue
        if not _check_box(found, record, rle, where):
            continue
        _check_area(found, record, rle, where)
        if key == 0:
            cure = "count from 1; COCOeval reads the id 0 as 'no match'"
            found.add("annotation 0", where, "the id is 0", cure, fatal=False)
        if (image, category, rle["counts"]) in seen:
            cure = "remove one of them"
            found.add("object twice", where, "an earlier annotation has the same mask", cure, fatal=False)
        seen.add((image, category, rle["counts"]))
        crowds += bool(record.get("iscrowd"))
        found.annotations.append(FoundAnnotation(key, where, image, category, rle, record))
    if crowds and crowds == len(found.annotations):
        cure = "write 0 for single objects; it does not mean 'is RLE', and evaluation ignores crowds"
        found.add("all crowds", "annotations", "every one has iscrowd 1", cure, fatal=False)


def _known(found: Inspection, image: Key | None, category: Key | None, record: Mapping[str, Any], where: str) -> bool:
    cure = "add it to the list, or remove the annotation"
    if image not in found.images:
        what = f"the image {shown(record.get('image_id'))} is not listed, or not usable"
        found.add("unknown image", where, what, cure)
    if category not in found.categories:
        what = f"the category {shown(record.get('category_id'))} is not listed, or not usable"
        found.add("unknown category", where, what, cure)
    return image in found.images and category in found.categories


def _mask(found: Inspection, record: Mapping[str, Any], image: FoundImage, where: str) -> dict[str, Any] | None:
    segmentation = record.get("segmentation")
    if segmentation is None or segmentation == [] or segmentation == {}:
        cure = "write RLE or polygons; boxes alone hold no mask"
        found.add("no mask", where, "the segmentation is missing or empty", cure)
        return None
    if isinstance(segmentation, list):
        segmentation = _rings(found, segmentation, where)
    try:
        rle = to_rle(segmentation, image.size)
    except AnnotationError as error:
        what, _, cure = str(error).rpartition(": ")
        found.add("segmentation", where, what or str(error), cure.rstrip("."))
        return None
    if not area_of(rle):
        found.add("empty mask", where, "the mask covers no pixel of the image", "remove the annotation")
        return None
    if isinstance(segmentation, list):
        _compare_rings(found, segmentation, image, where)
    return rle


def _rings(found: Inspection, segmentation: list[Any], where: str) -> list[Any]:
    """Polygons, nested as they should be, without those that are points and lines."""
    if len(segmentation) >= 6 and all(as_number(value) is not None for value in segmentation):
        cure = "nest it: [[x, y, x, y, ...]]; readers fail on it"
        found.add("flat polygon", where, "the polygon is a flat list of numbers", cure, fatal=False)
        return [segmentation]
    kept = [ring for ring in segmentation if not (isinstance(ring, list) and len(ring) in (0, 2, 4))]
    if kept and len(kept) < len(segmentation):
        cure = "leave it out; readers fail on it, or take four numbers for a box"
        found.add("tiny polygon", where, "a polygon has fewer than three points", cure, fatal=False)
    return kept or segmentation


def _compare_rings(found: Inspection, rings: Sequence[Any], image: FoundImage, where: str) -> None:
    from pycocotools import mask as coco_mask

    points = np.concatenate([np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in rings])
    if (points < -1).any() or (points > (image.width + 1, image.height + 1)).any():
        cure = "clip it; area and bounding box should be those of the clipped one"
        found.add("outside", where, "a polygon leaves the image", cure, fatal=False)
    if not 1 < len(rings) <= _RINGS_COMPARED:
        return
    codes = coco_mask.frPyObjects([np.asarray(ring, dtype=np.float64) for ring in rings], *image.size)
    areas = coco_mask.area(codes)
    covered = coco_mask.iou(codes, codes, [1] * len(codes)) > 1 - 1e-9  # the share of each that lies in each other
    np.fill_diagonal(covered, False)
    if covered[areas > 0].any():
        cure = "polygons are united, so a hole is filled; write RLE, or hang the hole on the outline"
        found.add("hole as polygon", where, "a polygon lies inside another one", cure, fatal=False)


def _numbers(found: Inspection, record: Mapping[str, Any], where: str) -> bool:
    """Whether the numbers beside a mask are numbers."""
    before = len(found.faults)
    score = record.get("score")
    if score is not None and not 0 <= (-1.0 if as_number(score) is None else float(score)) <= 1:
        found.add("score", where, f"the score is {shown(score)}", "give a number from 0 to 1, or leave it out")
    area = record.get("area")
    if area is not None and (-1.0 if as_number(area) is None else area) < 0:
        found.add("area", where, f"the area is {shown(area)}", "write the number of pixels")
    box = record.get("bbox")
    if box is not None and not _is_box(box):
        found.add("bbox", where, f"the bbox is {shown(box)}", "write [x, y, width, height] in pixels")
    for key in ("area", "bbox", "iscrowd"):
        if record.get(key) is None:
            cure = "write it; evaluation and loaders ask for it"
            found.add(f"no {key}", where, f"there is no {key!r}", cure, fatal=False)
    if record.get("iscrowd", 0) not in (0, 1, None):
        cure = "write 0, or 1 for a region of many objects"
        found.add("iscrowd", where, f"iscrowd is {shown(record['iscrowd'])}", cure, fatal=False)
    return not any(fault.fatal for fault in found.faults[before:])


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != 4:
        return False
    numbers = [as_number(value) for value in box]
    return all(number is not None for number in numbers) and min(float(box[2]), float(box[3])) >= 0


def _check_area(found: Inspection, record: Mapping[str, Any], rle: dict[str, Any], where: str) -> None:
    area = as_number(record.get("area"))
    if area is None:
        return
    pixels, (_, _, width, height) = area_of(rle), bbox_of(rle)
    # COCO's own files hold the area inside the polygon, which differs from the pixels along its outline.
    slack = 0.5 if isinstance(record["segmentation"], Mapping) else 0.1 * pixels + 2 * (width + height)
    if abs(area - pixels) > slack:
        like = "the area of the bounding box" if abs(area - width * height) <= 0.5 else f"{area:g}"
        cure = "write the number of pixels; it sorts objects into small, medium and large"
        found.add("area", where, f"the area is {like}, the mask has {pixels} pixels", cure, fatal=False)


def _check_box(found: Inspection, record: Mapping[str, Any], rle: dict[str, Any], where: str) -> bool:
    """Compare the box with the mask; False when the mask itself must be wrong."""
    box = record.get("bbox")
    if box is None:
        return True
    corners, true = _corners(box), _corners(bbox_of(rle))
    polygon = _polygon_corners(record["segmentation"])
    if min(_apart(corners, true), _apart(corners, polygon)) <= _BOX_SLACK:
        return True
    what = f"the bbox is {shown(box)}, the mask's {[int(value) for value in bbox_of(rle)]}"
    if isinstance(record["segmentation"], Mapping) and _apart(corners, _row_by_row(rle)) <= _OTHER_READING:
        found.add("RLE order", where, what, "the RLE was written row by row; write it column by column")
        return False
    cure = "write [x, y, width, height] around the mask, the width as last column - first column + 1"
    if _apart(list(map(float, box)), true) <= _OTHER_READING:
        cure = "it holds the corners x0, y0, x1, y1; write [x, y, width, height]"
    found.add("bbox", where, what, cure, fatal=False)
    return True


def _corners(box: Sequence[float]) -> list[float]:
    x, y, width, height = map(float, box)
    return [x, y, x + width, y + height]


def _apart(one: Sequence[float], other: Sequence[float] | None) -> float:
    return float("inf") if other is None else max(abs(a - b) for a, b in zip(one, other, strict=True))


def _polygon_corners(segmentation: Any) -> list[float] | None:
    if isinstance(segmentation, Mapping):
        return None
    is_flat = as_number(segmentation[0]) is not None
    rings = [segmentation] if is_flat else [ring for ring in segmentation if len(ring) >= 6]
    points = np.asarray([value for ring in rings for value in ring], dtype=np.float64).reshape(-1, 2)
    return [*map(float, points.min(axis=0)), *map(float, points.max(axis=0))]


def _row_by_row(rle: dict[str, Any]) -> list[float]:
    """Corners of the box when the counts are read row by row."""
    rows, columns = np.divmod(pixels_of(rle), rle["size"][1])
    return [float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)]
