"""Look through a COCO file as anybody may have written it: what is usable, and every fault with its cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psalm.coco.faults import Fault
from psalm.coco.image_size import image_size
from psalm.coco.names import find_below, relative_name
from psalm.coco.rle import MAX_PIXELS
from psalm.coco.values import as_count, as_key, as_text, shown
from psalm.errors import AnnotationError, ImageError

Key = int | str


@dataclass(frozen=True)
class FoundImage:
    """An image entry of a file: its place in the list, path below the images' folder, page and size."""

    place: int
    file_name: str
    page: int
    height: int
    width: int
    record: Mapping[str, Any] = field(repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width


@dataclass(frozen=True)
class FoundCategory:
    """A category entry of a file."""

    name: str
    record: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class FoundAnnotation:
    """An annotation of a file, its mask as compressed RLE."""

    key: Key
    where: str
    image: Key
    category: Key
    rle: dict[str, Any] = field(repr=False)
    record: Mapping[str, Any] = field(repr=False)


@dataclass
class Inspection:
    """What a file holds: usable entries by their ids, and the faults of all entries."""

    faults: list[Fault] = field(default_factory=list)
    images: dict[Key, FoundImage] = field(default_factory=dict)
    categories: dict[Key, FoundCategory] = field(default_factory=dict)
    annotations: list[FoundAnnotation] = field(default_factory=list)

    def add(self, kind: str, where: str, what: str, cure: str, fatal: bool = True) -> None:
        """Note a fault."""
        self.faults.append(Fault(kind, where, what, cure, fatal))


def entries(found: Inspection, content: Mapping[str, Any], name: str) -> list[tuple[int, Key, Mapping[str, Any], str]]:
    """Entries of a list that are objects with an id of their own, as (place, id, entry, where it is)."""
    listed = content.get(name)
    if not isinstance(listed, list):
        found.add("no list", name, "the file has no such list", "write one, be it empty; psalm reads COCO files")
        return []
    seen: set[Key] = set()
    kept = []
    for place, record in enumerate(listed):
        where = f"{name}[{place}]"
        if not isinstance(record, Mapping):
            found.add("no object", where, f"it is {shown(record)}, not an object", "remove it")
            continue
        where += f" (id {shown(record['id'])})" if "id" in record else ""
        key = as_key(record.get("id"))
        if key is None:
            found.add("id", where, "it has no usable 'id'", "give it a whole number from 1 to 2^53")
        elif key in seen:
            found.add("id twice", where, "an earlier entry has the same id", "give each entry its own id")
        else:
            if type(record["id"]) is not int:
                cure = "write a whole number; many readers take no other"
                found.add("id is no number", where, f"the id is written as {shown(record['id'])}", cure, fatal=False)
            seen.add(key)
            kept.append((place, key, record, where))
    return kept


def inspect_images(found: Inspection, content: Mapping[str, Any], folder: Path | None) -> None:
    """Check the image entries, and the files below `folder` where one is given."""
    names: set[tuple[str, int]] = set()
    for place, key, record, where in entries(found, content, "images"):
        image = _image(found, place, record, where)
        if image is None:
            continue
        if (image.file_name, image.page) in names:
            cure = "write paths relative to one folder; base names of several folders collide"
            found.add("file name twice", where, f"an earlier image is {image.file_name!r} too", cure)
        elif folder is None or _check_file(found, image, where, folder):
            found.images[key] = image
        names.add((image.file_name, image.page))


def _image(found: Inspection, place: int, record: Mapping[str, Any], where: str) -> FoundImage | None:
    parent = as_text(record.get("parent"))
    page = as_count(record.get("frame")) if parent else 0
    name = parent or as_text(record.get("file_name"))
    path = relative_name(name) if name else None
    if path is None or page is None or page >= 2**31:
        cure = "give a path below the images' folder, relative to it"
        found.add("file name", where, f"the file name is {shown(record.get('file_name'))}", cure)
        return None
    if "\\" in str(name):
        cure = "write forward slashes; only Windows reads the others"
        found.add("backslashes", where, f"the file name is {shown(name)}", cure, fatal=False)
    height, width = as_count(record.get("height")), as_count(record.get("width"))
    if not height or not width or height * width > MAX_PIXELS:
        what = f"the size is {shown(record.get('height'))} x {shown(record.get('width'))} (height, width)"
        cure = f"give whole numbers of pixels above 0, at most {MAX_PIXELS} in all"
        found.add("image size", where, what, cure)
        return None
    if any(type(record[side]) is not int for side in ("height", "width")):
        found.add("size is no number", where, "height or width is no plain whole number", "write one", fatal=False)
    return FoundImage(place, path, page, height, width, record)


def _check_file(found: Inspection, image: FoundImage, where: str, folder: Path) -> bool:
    try:
        path = find_below(folder, image.file_name)
        size = None if path is None else image_size(path, image.page)
    except (AnnotationError, ImageError) as error:
        found.add("image file", where, str(error), "or leave the entry out")
        return False
    if size is None:
        cure = "give the folder in which the file names start, or remove the entry"
        found.add("image missing", where, f"there is no file {image.file_name!r} below {folder}", cure)
        return False
    if size != image.size:
        cure = "use the image that was labelled, or"
        if size == image.size[::-1]:
            cure = "the EXIF orientation was left out; turn the masks, or"
        what = f"{image.file_name!r} is {size[0]} x {size[1]} as shown, the entry says {image.height} x {image.width}"
        found.add("size differs", where, what, f"{cure} write the size of the file as it is shown")
        return False
    return True


def inspect_categories(found: Inspection, content: Mapping[str, Any]) -> None:
    """Check the category entries."""
    names: set[str] = set()
    for _, key, record, where in entries(found, content, "categories"):
        name = (as_text(record.get("name")) or "").strip()
        if not name:
            found.add("category name", where, f"the name is {shown(record.get('name'))}", "give it a name")
            continue
        if name in names:
            cure = "rename one, or give their objects one id"
            found.add("category twice", where, f"an earlier category is called {name!r} too", cure)
            continue
        names.add(name)
        if key == 0:
            cure = "count from 1; many programs take 0 for the background"
            found.add("category 0", where, f"{name!r} has the id 0", cure, fatal=False)
        if record.get("isthing", 1) not in (0, 1):
            cure = "write 1 for things, 0 for stuff"
            found.add("isthing", where, f"isthing is {shown(record['isthing'])}", cure, fatal=False)
        found.categories[key] = FoundCategory(name, record)
