"""COCO panoptic files, as images with objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco.inspection import FoundImage, Inspection, inspect_categories, inspect_images
from psalm.coco.loading import load_json
from psalm.coco.names import find_below
from psalm.coco.rle import masks_by_value
from psalm.coco.values import as_count, as_key, as_text, shown
from psalm.errors import AnnotationError
from psalm.formats.coco_import import read_categories, read_image
from psalm.formats.extras import extras_of, read_provenance, read_score
from psalm.formats.panoptic_png import read_ids
from psalm.formats.records import Incoming, IncomingImage, IncomingObject


def read_panoptic(path: Path | str, images: Path | None = None) -> Incoming:
    """Read a COCO panoptic file, or the folder that `export_panoptic` wrote.

    The pictures are looked for in the folder that is called like the file without its suffix, as COCO does it, or
    beside the file.

    Parameters
    ----------
    path : path
    images : Path, optional
        Folder in which the images' file names start; images that are missing there, or have another size, are faults.

    Raises
    ------
    AnnotationError
        When the file cannot be read or is no JSON object.
    """
    path = Path(path)
    path = path / "panoptic.json" if path.is_dir() else path
    content = load_json(path, "a COCO panoptic file")
    found = Inspection()
    inspect_images(found, content, images)
    inspect_categories(found, content)
    categories = read_categories(found)
    folder = path.with_suffix("") if path.with_suffix("").is_dir() else path.parent
    incoming = []
    for place, entry in enumerate(_list(content.get("annotations"), found, "annotations")):
        image = _image(found, folder, entry, f"annotations[{place}]")
        if image:
            incoming.append(image)
    return Incoming(path, categories, tuple(incoming), tuple(found.faults))


def _list(value: Any, found: Inspection, where: str) -> list[Any]:
    if isinstance(value, list):
        return value
    found.add("no list", where, f"it is {shown(value)}", "write a list, be it empty")
    return []


def _image(found: Inspection, folder: Path, entry: Any, where: str) -> IncomingImage | None:
    if not isinstance(entry, Mapping):
        found.add("no object", where, f"it is {shown(entry)}, not an object", "remove it")
        return None
    key = as_key(entry.get("image_id"))
    image = None if key is None else found.images.get(key)
    if image is None:
        what = f"the image {shown(entry.get('image_id'))} is not listed, or not usable"
        found.add("unknown image", where, what, "add it to the list, or remove the annotation")
        return None
    ids = _ids(found, folder, entry, image, where)
    if ids is None:
        return None
    masks, objects = masks_by_value(ids), []
    masks.pop(0, None)
    for place, info in enumerate(_list(entry.get("segments_info"), found, f"{where}.segments_info")):
        item = _object(found, info, masks, f"{where}.segments_info[{place}]")
        if item:
            objects.append(item)
    if masks:
        cure = "list every id of the picture once, or paint it black"
        found.add("unlisted segment", where, f"the picture holds ids without an entry: {shown(sorted(masks))}", cure)
    return read_image(found, image, objects)


def _ids(
    found: Inspection, folder: Path, entry: Mapping[str, Any], image: FoundImage, where: str
) -> NDArray[np.uint32] | None:
    name = as_text(entry.get("file_name")) or ""
    try:
        picture = find_below(folder, name)
        if picture is not None:
            return read_ids(picture, image.size)
        found.add("picture missing", where, f"there is no picture {name!r} below {folder}", "put it there")
    except AnnotationError as error:
        found.add("picture", where, str(error), "or leave the entry out")
    return None


def _object(found: Inspection, info: Any, masks: dict[int, dict[str, Any]], where: str) -> IncomingObject | None:
    """A segment, whose mask is taken out of `masks`."""
    number = as_count(info.get("id")) if isinstance(info, Mapping) else None
    rle = None if number is None else masks.pop(number, None)
    if rle is None:
        cure = "give each segment the id that it has in the picture, each only once, and none 0"
        found.add("segment id", where, f"the picture has no pixel for {shown(info)}", cure)
        return None
    category = as_key(info.get("category_id"))
    if category is None or category not in found.categories:
        what = f"the category {shown(info.get('category_id'))} is not listed, or not usable"
        found.add("unknown category", where, what, "add it to the list, or remove the segment")
        return None
    try:
        score, provenance = read_score(info), read_provenance(extras_of(info))
    except AnnotationError as error:
        found.add("psalm extras", where, str(error), "or export the file again")
        return None
    return IncomingObject(
        str(number),
        found.categories[category].name,
        rle,
        score,
        provenance,
        bool(info.get("iscrowd")),
    )
