"""Write objects as a COCO instances file that every reader takes as it is meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations, Category
from psalm.coco.records import ImageEntry
from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError, OutputError
from psalm.files import write_text


def write_coco(path: Path | str, entries: Iterable[tuple[ImageEntry, Annotations]], overwrite: bool = False) -> Path:
    """Write images with their objects to a COCO instances file.

    Images without objects are kept. Categories are merged by name: a name keeps the id it first came with, unless that
    id is taken by another name, then it gets the next free one. Annotation ids count from 1.

    Parameters
    ----------
    path : path
        The file; missing folders are made.
    entries : iterable of (ImageEntry, Annotations)
        Taken one by one, so masks need not all be in memory.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        When the file exists and `overwrite` is False, or cannot be written.
    AnnotationError
        When an image id is repeated, a mask is empty, or masks do not have the size of their image.
    """
    with CocoWriter(path, overwrite) as writer:
        for image, annotations in entries:
            writer.add(image, annotations)
    return writer.path


class CocoWriter:
    """Collect images with their objects, and write them to a COCO file when the ``with`` block ends well.

    Masks are encoded as they come; nothing is written when the block raises.

    Parameters
    ----------
    path : path
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    OutputError
        When the file exists and `overwrite` is False.
    """

    def __init__(self, path: Path | str, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.overwrite = overwrite
        self._images: list[dict[str, Any]] = []
        self._image_ids: set[int] = set()
        self._categories: dict[str, Category] = {}
        self._annotations: list[dict[str, Any]] = []
        self._refuse_existing()

    def __enter__(self) -> CocoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.save()

    def add(self, image: ImageEntry, annotations: Annotations) -> None:
        """Add an image with its objects (none is fine)."""
        if image.id in self._image_ids:
            raise AnnotationError(f"The image id {image.id} ({image.file_name}) occurs twice: give each image its own.")
        if annotations.size != image.size:
            raise AnnotationError(
                f"The masks of {image.file_name} have size {annotations.size}, the image {image.size} (height, width): "
                "make the masks at the size of the image."
            )
        empty = np.flatnonzero(~annotations.masks.any(axis=(1, 2)))
        if empty.size:
            raise AnnotationError(f"Object {empty[0] + 1} of {image.file_name} covers no pixel: remove it.")
        new_ids = {category.id: self._category_id(category) for category in annotations.categories}
        self._image_ids.add(image.id)
        self._images.append(_image_record(image))
        for i, mask in enumerate(annotations.masks):
            record = _mask_record(mask) | {
                "id": len(self._annotations) + 1,
                "image_id": image.id,
                "category_id": new_ids[int(annotations.category_ids[i])],
                "iscrowd": 0,
                "score": float(annotations.scores[i]),
                "psalm": {"prompt": annotations.prompts[i]},
            }
            self._annotations.append(record)

    def save(self) -> None:
        """Write what was added so far; the old file, if any, stays whole until the new one is complete."""
        self._refuse_existing()
        content = {
            "info": {"description": "Instances in COCO format, written by psalm", "version": "1.0"},
            "licenses": [],
            "images": self._images,
            "annotations": self._annotations,
            "categories": [_category_record(category) for category in self._categories.values()],
        }
        write_text(self.path, json.dumps(content, allow_nan=False, ensure_ascii=False))
        self.overwrite = True  # the file is ours now

    def _refuse_existing(self) -> None:
        if self.path.exists() and not self.overwrite:
            raise OutputError(f"{self.path} exists: choose another name, or allow it to be overwritten.")

    def _category_id(self, category: Category) -> int:
        known = self._categories.get(category.name)
        if known is None:
            taken = {other.id for other in self._categories.values()}
            free = category.id if category.id >= 1 and category.id not in taken else max(taken, default=0) + 1
            known = Category(free, category.name, category.is_thing, category.supercategory)
            self._categories[category.name] = known
        elif known.is_thing != category.is_thing:
            raise AnnotationError(
                f"Category {category.name!r} is a thing in one image and stuff in another: choose one."
            )
        return known.id


def _image_record(image: ImageEntry) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": int(image.id),
        "file_name": image.file_name,
        "height": int(image.height),
        "width": int(image.width),
    }
    extras: Mapping[str, str] = {"split": image.split, "source": image.source, "domain": image.domain}
    record |= {key: value for key, value in extras.items() if value}
    return record if image.exhaustive else record | {"exhaustive": False}


def _category_record(category: Category) -> dict[str, Any]:
    return {
        "id": int(category.id),
        "name": category.name,
        "supercategory": category.supercategory,
        "isthing": int(category.is_thing),
    }


def _mask_record(mask: NDArray[np.bool_]) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    code = encode_mask(mask)
    bbox = [float(value) for value in coco_mask.toBbox(code)]
    return {"segmentation": code, "area": int(mask.sum()), "bbox": bbox}
