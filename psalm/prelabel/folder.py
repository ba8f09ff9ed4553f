"""The images of a folder that wait for a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from psalm.errors import ImageError
from psalm.images import open_image
from psalm.prelabel.records import Failure, Item
from psalm.store import AnnotationStore, ImageState, StoredImage
from psalm.store.images import check_path

# So many files are entered into the store at once.
_CHUNK = 64


class WaitingImages:
    """Enters the files of a folder into the store as they are needed, page by page, and gives those to be labelled.

    Parameters
    ----------
    store : AnnotationStore
    folder : Path
        The image root.
    files : sequence of Path
        Below it, sorted.
    prompts : tuple of mapping
        What is asked of every image.

    Attributes
    ----------
    total : int
        How many images there are to be labelled, as far as is known: a file counts as one until it was opened.
    kept : int
        Images that were labelled before, or that a person has taken up.
    refused : list of Failure
        Files whose names cannot be kept.
    """

    def __init__(
        self, store: AnnotationStore, folder: Path, files: Sequence[Path], prompts: tuple[Mapping[str, Any], ...]
    ) -> None:
        self._store, self._folder, self._files, self._prompts = store, folder, files, prompts
        self.total, self.kept = len(files), 0
        self.refused: list[Failure] = []

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self._files), _CHUNK):
            names = [self._name_of(path) for path in self._files[start : start + _CHUNK]]
            for images in self._enter([name for name in names if name]):
                waiting = [image for image in images if waits(image)]
                self.total += len(waiting) - 1
                self.kept += len(images) - len(waiting)
                for image in waiting:
                    yield Item(image.id, image.path, image.page, self._prompts)

    def _enter(self, names: Sequence[str]) -> list[list[StoredImage]]:
        """The pages of each file; those of new files are added to the store."""
        known = [known_pages(self._store, name) for name in names]
        # Files are opened outside the transaction, for which others may wait.
        pages = [0 if images else count_pages(self._folder / name) for name, images in zip(names, known, strict=True)]
        if not any(pages):
            return known
        with self._store.transaction():
            return [
                images or [self._store.ensure_image(name, page) for page in range(number)]
                for name, images, number in zip(names, known, pages, strict=True)
            ]

    def _name_of(self, path: Path) -> str:
        """A file's name in the store; empty for one that the store cannot keep."""
        name = path.relative_to(self._folder).as_posix()
        try:
            return check_path(name)
        except ImageError as error:
            self.total -= 1
            self.refused.append(Failure(name.encode("utf-8", "replace").decode("utf-8"), str(error)))
            return ""


def waits(image: StoredImage) -> bool:
    """Whether an image is to be labelled; one that failed is tried again."""
    return image.state in (ImageState.TODO, ImageState.FAILED)


def known_pages(store: AnnotationStore, name: str) -> list[StoredImage]:
    """The pages of a file that the store knows; none when there may be more, because the file was not opened yet."""
    pages: list[StoredImage] = []
    for page in count():
        image = store.find_image(name, page)
        if image is None:
            break
        pages.append(image)
    return [] if len(pages) == 1 and waits(pages[0]) else pages


def count_pages(path: Path) -> int:
    """How many images a file holds; 1 when it cannot be opened, of which the labelling will tell the reason."""
    try:
        with open_image(path) as file:
            return file.pages
    except ImageError:
        return 1
