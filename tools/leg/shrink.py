"""Make a labelled folder small: images and masks at a smaller size."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_LZMA, ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from psalm.coco.rle import decode_segmentation, encode_mask
from psalm.images import read_image, to_rgb8

Record = dict[str, Any]
_IMAGE_FIELDS = ("source", "split", "domain", "exhaustive")


@dataclass(frozen=True)
class Shrink:
    """How small.

    Parameters
    ----------
    side : int
        Longest side of an image in pixels; smaller images keep their size.
    quality : int
        Of the JPEG files, 1 to 95.
    """

    side: int = 352
    quality: int = 62


def add_images(
    archive: ZipFile, folder: str, annotations: Path, images: Path, wanted: Collection[int], how: Shrink
) -> frozenset[int]:
    """Put a part of a COCO file, smaller, and its images into an archive.

    Objects that vanish at the smaller size are left out.

    Parameters
    ----------
    archive : ZipFile
    folder : str
        Gets ``annotations.json`` and ``images/``.
    annotations, images : Path
        The COCO file and the folder that its file names start from.
    wanted : collection of int
        Ids of the images.
    how : Shrink

    Returns
    -------
    frozenset of int
        Ids of the annotations that were kept.
    """
    content = json.loads(annotations.read_text(encoding="utf-8"))
    by_image: dict[int, list[Record]] = defaultdict(list)
    for annotation in content["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    records, objects = [], []
    for record in content["images"]:
        if record["id"] not in wanted:
            continue
        size = record["height"], record["width"]
        target = smaller(size, how.side)
        name = f"{record['id']}.jpg"
        archive.writestr(f"{folder}/images/{name}", jpeg(images / record["file_name"], target, how.quality), ZIP_STORED)
        kept = {field: record[field] for field in _IMAGE_FIELDS if field in record}
        records.append({"id": record["id"], "file_name": name, "height": target[0], "width": target[1], **kept})
        objects += [small for one in by_image[record["id"]] if (small := shrink_object(one, size, target))]
    add_json(
        archive,
        f"{folder}/annotations.json",
        {"images": records, "annotations": objects, "categories": content["categories"]},
    )
    return frozenset(annotation["id"] for annotation in objects)


def add_refs(archive: ZipFile, name: str, refs: Path, annotation_ids: Collection[int]) -> None:
    """Put those referring expressions into an archive whose objects are all there."""
    entries = json.loads(refs.read_text(encoding="utf-8"))
    kept = [
        {field: entry[field] for field in ("image_id", "ann_ids", "sentences")}
        for entry in entries
        if all(number in annotation_ids for number in entry["ann_ids"])
    ]
    add_json(archive, name, kept)


def add_json(archive: ZipFile, name: str, values: Any) -> None:
    """Put plain values into an archive, compressed well."""
    archive.writestr(name, json.dumps(values, separators=(",", ":")), ZIP_LZMA)


def smaller(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(height, width) with the longest side at most `side`."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def jpeg(path: Path, size: tuple[int, int], quality: int) -> bytes:
    """The image in a file as JPEG of (height, width) `size`."""
    image = Image.fromarray(to_rgb8(read_image(path)))
    if image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def shrink_object(annotation: Record, size: tuple[int, int], target: tuple[int, int]) -> Record | None:
    """A COCO annotation at another size of its image, or None where nothing is left of it."""
    kept = {field: annotation[field] for field in ("id", "image_id", "category_id")}
    kept["iscrowd"] = annotation.get("iscrowd", 0)
    if size == target:
        return kept | {field: annotation[field] for field in ("segmentation", "area", "bbox")}
    mask = shrink_mask(decode_segmentation(annotation["segmentation"], size), target)
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(1)).tolist(), np.flatnonzero(mask.any(0)).tolist()
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return kept | {"segmentation": encode_mask(mask), "area": int(mask.sum()), "bbox": box}


def shrink_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (H, W) at a smaller (height, width): the pixels of which it covers half or more."""
    coverage = Image.fromarray(mask.astype(np.uint8) * 255).resize(size[::-1], Image.Resampling.BOX)
    return np.asarray(coverage) >= 128
