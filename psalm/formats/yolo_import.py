"""YOLO segmentation labels, as images with objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from psalm.coco.faults import Fault
from psalm.coco.names import find_below
from psalm.coco.rle import area_of, to_rle
from psalm.coco.values import as_count, as_text, shown
from psalm.errors import AnnotationError, ImageError
from psalm.formats.extras import read_category
from psalm.formats.folders import read_index
from psalm.formats.image_lookup import ImageLookup
from psalm.formats.records import Incoming, IncomingCategory, IncomingImage, IncomingObject


def read_yolo(path: Path | str, images: Path) -> Incoming:
    """Read YOLO segmentation labels.

    Parameters
    ----------
    path : path
        The ``data.yaml``, or the folder that holds it, or one with ``classes.txt``. Labels are the text files below the
        folder ``labels`` beside it.
    images : Path
        Folder of the images; a label file belongs to the image of the same name there. Their sizes are needed.

    Raises
    ------
    AnnotationError
        When there are no class names or no labels.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    index = read_index(folder, "yolo")
    names = _names(path)
    labels = folder / "labels" if (folder / "labels").is_dir() else folder
    reading = _Reading(names, ImageLookup(images, index))
    found = []
    for file in sorted(labels.rglob("*.txt")):
        if file.name == "classes.txt":
            continue
        try:
            inside = find_below(labels, file.relative_to(labels).as_posix())
        except AnnotationError as error:
            reading.fault("label file", str(file), str(error), "or remove it")
            continue
        image = reading.image(file, file.relative_to(labels)) if inside else None
        if image:
            found.append(image)
    if not found and not reading.faults:
        raise AnnotationError(f"{labels} holds no label files: give the folder with data.yaml and labels in it.")
    return Incoming(path, _categories(names, index), tuple(found), tuple(reading.faults))


def _names(path: Path) -> dict[int, str]:
    """Class names by number, from data.yaml or classes.txt."""
    candidates = [path] if path.is_file() else [path / "data.yaml", path / "dataset.yaml", path / "classes.txt"]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise AnnotationError(f"{path} has no data.yaml or classes.txt: give the file with the class names.")
    try:
        text = file.read_text(encoding="utf-8-sig")
        names: Any = text.splitlines() if file.suffix == ".txt" else _yaml_names(yaml.safe_load(text))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise AnnotationError(f"{file} cannot be read ({error}): give a YAML file with 'names'.") from error
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, Mapping) or not names:
        raise AnnotationError(f"{file} has no list of class names: write 'names: [cell, nucleus]'.")
    found: dict[int, str] = {}
    for number, name in names.items():
        place, label = as_count(number), as_text(str(name).strip())
        if place is None or not label or label in found.values():
            raise AnnotationError(
                f"{file}: class {shown(number)} is called {shown(name)}: give each class its own name."
            )
        found[place] = label
    return found


def _yaml_names(content: Any) -> Any:
    return content.get("names") if isinstance(content, Mapping) else None


def _categories(names: Mapping[int, str], index: Mapping[str, Any] | None) -> tuple[IncomingCategory, ...]:
    written = index.get("categories") if index else None
    known = {}
    for record in written if isinstance(written, list) else []:
        if isinstance(record, Mapping) and record.get("name") in names.values():
            known[record["name"]] = read_category(record["name"], as_count(record.get("id")) or 0, record)
    return tuple(known.get(name, IncomingCategory(name)) for name in names.values())


class _Reading:
    """Label files being read, and their faults."""

    def __init__(self, names: Mapping[int, str], images: ImageLookup) -> None:
        self._names, self._images = names, images
        self.faults: list[Fault] = []

    def fault(self, kind: str, where: str, what: str, cure: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(kind, where, what, cure))

    def image(self, file: Path, label: Path) -> IncomingImage | None:
        """The image of a label file, with its objects."""
        try:
            name, page, size = self._images.find(label.as_posix())
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (AnnotationError, ImageError, OSError, ValueError) as error:
            self.fault("image", str(label), str(error), "or remove the label file")
            return None
        objects = [self._object(line, number, size, label) for number, line in enumerate(lines, 1) if line.strip()]
        return IncomingImage(name, page, *size, tuple(found for found in objects if found), str(label))

    def _object(self, line: str, number: int, size: tuple[int, int], label: Path) -> IncomingObject | None:
        where = f"{label}, line {number}"
        kind, *texts = line.split()
        category = self._names.get(-1 if as_count(kind) is None else int(kind))
        if category is None:
            self.fault("unknown class", where, f"the class {shown(kind)} has no name", "add it to the names")
            return None
        try:
            values = [float(text) for text in texts]
        except ValueError:
            self.fault("no number", where, "there is something that is no number", "write x and y from 0 to 1")
            return None
        score = values.pop() if len(values) > 5 and len(values) % 2 else None
        if len(values) < 6:
            self.fault("box", where, f"there are {len(values)} numbers, a box or less", "write polygons")
            return None
        if not all(-0.5 <= value <= 1.5 for value in values) or (score is not None and not 0 <= score <= 1):
            self.fault("out of range", where, "numbers are not parts of width and height", "write x and y from 0 to 1")
            return None
        ring = [value * (size[0] if place % 2 else size[1]) for place, value in enumerate(values)]
        try:
            rle = to_rle([ring], size)
        except AnnotationError as error:
            self.fault("polygon", where, str(error), "or remove the line")
            return None
        if not area_of(rle):
            self.fault("empty mask", where, "the polygon covers no pixel of the image", "remove the line")
            return None
        return IncomingObject(f"{label}:{number}", category, rle, score)
