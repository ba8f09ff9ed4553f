"""Read a COCO instances file and check that it holds together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psalm.annotations import Category
from psalm.coco.loading import load_json
from psalm.coco.records import CocoAnnotation, CocoDataset, ImageEntry
from psalm.coco.rle import check_segmentation
from psalm.coco.values import as_number, as_text, shown
from psalm.errors import AnnotationError


def read_coco(path: Path | str) -> CocoDataset:
    """Read a COCO instances file; masks stay encoded until they are asked for.

    Parameters
    ----------
    path : path
        A JSON file with ``images``, ``categories`` and ``annotations``. Images may also have ``split``, ``source``,
        ``domain`` and ``exhaustive``, categories ``isthing``, annotations ``score`` and ``psalm``.

    Raises
    ------
    AnnotationError
        When the file is missing or no COCO file, ids are repeated or unknown, a path leaves the images' folder, or a
        segmentation does not fit its image.
    """
    content = _load(Path(path))
    try:
        return _dataset(content)
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from error


def _load(path: Path) -> Mapping[str, Any]:
    content = load_json(path)
    missing = [key for key in ("images", "annotations", "categories") if not _has_list(content, key)]
    if missing:
        raise AnnotationError(f"{path} has no list of {', '.join(missing)}: give a COCO instances file.")
    return content


def _has_list(content: Any, key: str) -> bool:
    return isinstance(content, dict) and isinstance(content.get(key), list)


def _dataset(content: Mapping[str, Any]) -> CocoDataset:
    images = [_image(record) for record in _unique(content["images"], "image")]
    categories = [_category(record) for record in _unique(content["categories"], "category")]
    sizes = {image.id: image.size for image in images}
    known = {category.id for category in categories}
    annotations = [_annotation(record, sizes, known) for record in _unique(content["annotations"], "annotation")]
    return CocoDataset(tuple(images), tuple(categories), tuple(annotations))


def _unique(records: list[Any], what: str) -> list[Mapping[str, Any]]:
    seen: set[int] = set()
    for position, record in enumerate(records):
        if not isinstance(record, dict) or not _is_id(record.get("id")):
            raise AnnotationError(
                f"Entry {position + 1} of the {what} list has no whole number from 0 as 'id': give it one."
            )
        if record["id"] in seen:
            raise AnnotationError(f"The {what} id {record['id']} occurs twice: ids must be unique.")
        seen.add(record["id"])
    return records


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _get(record: Mapping[str, Any], key: str, what: str) -> Any:
    if key not in record:
        raise AnnotationError(f"The {what} with id {record['id']} has no {key!r}: add it.")
    return record[key]


def _image(record: Mapping[str, Any]) -> ImageEntry:
    height, width = _get(record, "height", "image"), _get(record, "width", "image")
    if not _is_size(height) or not _is_size(width):
        raise AnnotationError(
            f"Image {record['id']} has size {shown(height)} x {shown(width)}: give whole numbers of pixels."
        )
    return ImageEntry(
        record["id"],
        str(_get(record, "file_name", "image")),
        height,
        width,
        split=str(record.get("split") or ""),
        source=str(record.get("source") or ""),
        domain=str(record.get("domain") or ""),
        exhaustive=bool(record.get("exhaustive", True)),
    )


def _category(record: Mapping[str, Any]) -> Category:
    return Category(
        record["id"],
        _name(record),
        bool(record.get("isthing", 1)),
        str(record.get("supercategory") or ""),
    )


def _name(record: Mapping[str, Any]) -> str:
    name = as_text(str(_get(record, "name", "category")))
    if name is None:
        raise AnnotationError(f"The category with id {record['id']} has a name that is not Unicode: rename it.")
    return name


def _annotation(record: Mapping[str, Any], sizes: Mapping[int, tuple[int, int]], known: set[int]) -> CocoAnnotation:
    image_id, category_id = _get(record, "image_id", "annotation"), _get(record, "category_id", "annotation")
    if not _is_id(image_id) or image_id not in sizes:
        raise AnnotationError(f"Annotation {record['id']} names image {shown(image_id)}, which the file does not list.")
    if not _is_id(category_id) or category_id not in known:
        raise AnnotationError(
            f"Annotation {record['id']} names category {shown(category_id)}, which the file does not list."
        )
    segmentation = _get(record, "segmentation", "annotation")
    try:
        check_segmentation(segmentation, sizes[image_id])
    except AnnotationError as error:
        raise AnnotationError(f"Annotation {record['id']} of image {image_id}: {error}") from error
    score = record.get("score")
    if score is not None and as_number(score) is None:
        raise AnnotationError(f"Annotation {record['id']} has the score {shown(score)}: give a number, or none.")
    extras = record.get("psalm")
    return CocoAnnotation(
        record["id"],
        image_id,
        category_id,
        segmentation,
        sizes[image_id],
        iscrowd=bool(record.get("iscrowd", 0)),
        score=None if score is None else float(score),
        prompt=str(extras.get("prompt", "")) if isinstance(extras, dict) else "",
    )
