"""PNG masks as images with objects: psalm's own with their index, or those of other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from psalm.coco.inspection import Inspection, inspect_categories, inspect_images
from psalm.coco.names import find_below
from psalm.coco.rle import masks_by_value
from psalm.coco.values import as_count, as_text, shown
from psalm.errors import AnnotationError, ImageError
from psalm.formats.coco_import import read_categories, read_image
from psalm.formats.extras import extras_of, read_provenance, read_score
from psalm.formats.folders import read_index
from psalm.formats.image_lookup import ImageLookup
from psalm.formats.panoptic_png import read_picture
from psalm.formats.records import Incoming, IncomingCategory, IncomingImage, IncomingObject

_MODES = ("1", "L", "P", "I;16", "I")
# Programs in the tradition of PASCAL VOC draw a border of this value around objects.
_VOID = 255


def read_masks(folder: Path | str, images: Path, *, classes: Sequence[str] = (), instances: bool = False) -> Incoming:
    """Read a folder of PNG masks; what is not usable is among the faults of the result.

    A folder that `export_masks` wrote needs nothing else. In others every picture belongs to the image of the same
    name, and each of its values but 0 becomes an object; 255 in 8 bits is a border, and left out unless it has a name.

    Parameters
    ----------
    folder : path
    images : Path
        Folder of the images.
    classes : sequence of str
        Names of the values 1, 2, ...; values without one are called "class 3". With `instances`, the one name of all.
    instances : bool
        A value is an object, not a category.

    Raises
    ------
    AnnotationError
        When there is no mask, or `instances` comes without its one name.
    """
    folder = Path(folder)
    index = read_index(folder, "masks")
    if index is not None:
        return _with_index(folder, images, index)
    if instances and len(classes) != 1:
        raise AnnotationError("With one value per object, one name for all of them is needed: give --classes NAME.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".tif", ".tiff"))
    if not files:
        raise AnnotationError(f"{folder} holds no PNG masks: check the path.")
    found, lookup, incoming = Inspection(), ImageLookup(images), []
    for file in files:
        image = _foreign(found, folder, file, lookup, classes, instances)
        if image:
            incoming.append(image)
    names = dict.fromkeys(item.category for image in incoming for item in image.objects)
    categories = tuple(IncomingCategory(name) for name in dict.fromkeys([*classes, *names]))
    return Incoming(folder, categories, tuple(incoming), tuple(found.faults))


def _foreign(
    found: Inspection, folder: Path, file: Path, lookup: ImageLookup, classes: Sequence[str], instances: bool
) -> IncomingImage | None:
    where = file.relative_to(folder).as_posix()
    try:
        name, page, size = lookup.find(where)
        values = read_picture(find_below(folder, where) or file, size, _MODES)
    except (AnnotationError, ImageError) as error:
        found.add("mask", where, str(error), "or remove the picture")
        return None
    objects = []
    for value, rle in masks_by_value(values).items():
        border = value == _VOID and values.dtype == np.uint8 and len(classes) < _VOID and not instances
        if value <= 0 or border:
            continue
        named = classes[value - 1] if value <= len(classes) else f"class {value}"
        category = classes[0] if instances else named
        objects.append(IncomingObject(f"{where}:{int(value)}", category, rle))
    return IncomingImage(name, page, *size, tuple(objects), where)


def _with_index(folder: Path, images: Path, index: Mapping[str, Any]) -> Incoming:
    found = Inspection()
    inspect_images(found, index, images)
    inspect_categories(found, index)
    categories = read_categories(found)
    incoming = []
    for image in found.images.values():
        where = f"images[{image.place}] ({image.file_name})"
        try:
            picture = find_below(folder / "objects", as_text(image.record.get("masks")) or "")
            if picture is None:
                raise AnnotationError(f"There is no picture {shown(image.record.get('masks'))}: put it there.")
            numbers = read_picture(picture, image.size, _MODES)
        except AnnotationError as error:
            found.add("mask", where, str(error), "or export the dataset again")
            continue
        entries, masks = image.record.get("objects"), masks_by_value(numbers)
        objects = [_object(found, entry, masks, where) for entry in (entries if isinstance(entries, list) else [])]
        read = read_image(found, image, [item for item in objects if item])
        if read:
            incoming.append(read)
    return Incoming(folder, categories, tuple(incoming), tuple(found.faults))


def _object(found: Inspection, entry: Any, masks: dict[int, dict[str, Any]], where: str) -> IncomingObject | None:
    number = as_count(entry.get("number")) if isinstance(entry, Mapping) else None
    category = as_count(entry.get("category_id")) if isinstance(entry, Mapping) else None
    if not number or category not in found.categories or number not in masks:
        cure = "export the dataset again"
        found.add("object", where, f"{shown(entry)} names no pixel or no category", cure)
        return None
    try:
        score, provenance = read_score(entry), read_provenance(extras_of(entry))
    except AnnotationError as error:
        found.add("psalm extras", where, str(error), "or export the dataset again")
        return None
    name = found.categories[category].name
    return IncomingObject(str(number), name, masks[number], score, provenance)
