"""A COCO instances file, written by psalm or by any other program, as images with objects."""

from __future__ import annotations

from pathlib import Path

from psalm.coco.checking import inspect
from psalm.coco.faults import Fault
from psalm.coco.inspection import FoundAnnotation, FoundImage, Inspection, Key
from psalm.coco.loading import load_json
from psalm.errors import AnnotationError
from psalm.formats.extras import extras_of, read_category, read_image_extras, read_provenance
from psalm.formats.records import Incoming, IncomingCategory, IncomingImage, IncomingObject


def read_coco_file(path: Path | str, images: Path | None = None) -> Incoming:
    """Read a COCO instances file; what is not usable is among the faults of the result.

    Parameters
    ----------
    path : path
    images : Path, optional
        Folder in which the file names start; images that are missing there, or have another size, are faults.

    Raises
    ------
    AnnotationError
        When the file cannot be read or is no JSON object.
    """
    path = Path(path)
    found = inspect(load_json(path), images)
    categories = read_categories(found)
    objects: dict[Key, list[IncomingObject]] = {key: [] for key in found.images}
    for annotation in found.annotations:
        try:
            objects[annotation.image].append(_object(found, annotation))
        except AnnotationError as error:
            found.faults.append(Fault("psalm extras", annotation.where, str(error), "or export the file again"))
    entries = [read_image(found, image, objects[key]) for key, image in found.images.items()]
    return Incoming(path, categories, tuple(entry for entry in entries if entry), tuple(found.faults))


def read_categories(found: Inspection) -> tuple[IncomingCategory, ...]:
    """The usable categories of an inspected file; damaged extras become faults."""
    categories = []
    for key, category in found.categories.items():
        try:
            categories.append(read_category(category.name, key, category.record))
        except AnnotationError as error:
            found.faults.append(Fault("psalm extras", f"category {category.name!r}", str(error), "or export it again"))
            categories.append(IncomingCategory(category.name))
    return tuple(categories)


def read_image(found: Inspection, image: FoundImage, objects: list[IncomingObject]) -> IncomingImage | None:
    """An image of an inspected file with its objects; None, and a fault, when its extras are damaged."""
    where = f"images[{image.place}] ({image.file_name})"
    try:
        extras = read_image_extras(extras_of(image.record))
    except AnnotationError as error:
        found.faults.append(Fault("psalm extras", where, str(error), "or export the file again"))
        return None
    return IncomingImage(image.file_name, image.page, image.height, image.width, tuple(objects), where, **extras)


def _object(found: Inspection, annotation: FoundAnnotation) -> IncomingObject:
    record = annotation.record
    score = record.get("score")
    return IncomingObject(
        str(annotation.key),
        found.categories[annotation.category].name,
        annotation.rle,
        None if score is None else float(score),
        read_provenance(extras_of(record)),
        bool(record.get("iscrowd")),
    )
