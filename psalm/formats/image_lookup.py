"""Which image a label file or mask belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from psalm.coco.image_size import image_size
from psalm.coco.names import find_below
from psalm.coco.values import as_count, as_text, shown
from psalm.errors import AnnotationError
from psalm.images import SUFFIXES

# Folders in which programs keep images and labels apart.
_PARTS = ("train", "val", "test", "valid", "images", "labels", "masks")


class ImageLookup:
    """Finds the image of a file that is called like it.

    Parameters
    ----------
    root : Path
        Folder of the images; its subfolders are searched too.
    index : mapping, optional
        What an export of psalm says about its files: entries of ``images`` with ``labels``, a name without suffix.
    """

    def __init__(self, root: Path, index: Mapping[str, Any] | None = None) -> None:
        self._root = root
        self._by_base: dict[str, list[str]] = {}
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                name = path.relative_to(root).as_posix()
                self._by_base.setdefault(path.stem, []).append(name)
        self._index: dict[str, Mapping[str, Any]] = {}
        written = index.get("images") if index else None
        for record in written if isinstance(written, list) else []:
            if isinstance(record, Mapping) and isinstance(record.get("labels"), str):
                self._index[record["labels"]] = record

    def find(self, name: str) -> tuple[str, int, tuple[int, int]]:
        """Path, page and (height, width) of the image of a file; its name has forward slashes.

        Raises
        ------
        AnnotationError, ImageError
            When there is none, or more than one.
        """
        stem = str(PurePosixPath(name).with_suffix(""))
        record = self._index.get(stem, {})
        parent, page = as_text(record.get("parent")), as_count(record.get("frame")) or 0
        image = parent or as_text(record.get("file_name")) or self._name(stem)
        path = find_below(self._root, image)
        if path is None:
            raise AnnotationError(f"There is no image {image!r} below {self._root}: give the images' folder.")
        return image, page, image_size(path, page)

    def _name(self, stem: str) -> str:
        parts = PurePosixPath(stem).parts
        candidates = {name: str(PurePosixPath(name).with_suffix("")) for name in self._by_base.get(parts[-1], [])}
        while True:
            wanted = "/".join(parts)
            found = [name for name, stem in candidates.items() if f"/{stem}".endswith(f"/{wanted}")]
            found = [name for name in found if candidates[name] == wanted] or found
            if len(found) == 1:
                return found[0]
            if found:
                raise AnnotationError(f"Several images are called {wanted!r}: {shown(found)}; give them other names.")
            # Labels and images often lie in folders of different names, labels/train and images/train.
            if len(parts) < 2 or parts[0] not in _PARTS:
                raise AnnotationError(f"There is no image called {stem!r} below {self._root}: give the images' folder.")
            parts = parts[1:]
