"""A folder of images with its store: which images there are, how far each is, and which one was looked at last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_psalm.core.category_table import NO_CATEGORY, CategoryTable
from napari_psalm.core.class_style import ClassStyle, colour_of, to_bytes
from psalm.annotations import Category
from psalm.errors import ImageError, StoreError
from psalm.images import images_below, open_image, read_image
from psalm.store import AnnotationStore, ImageState, StoredCategory, StoredImage

ACTOR = "annotator"
_PAGED = frozenset({".tif", ".tiff", ".gif", ".webp", ".zarr"})
_CURRENT = "annotator.image"


class Dataset:
    """A store, opened to be worked on; see `open_dataset`.

    Parameters
    ----------
    store : AnnotationStore
    """

    def __init__(self, store: AnnotationStore) -> None:
        self.store = store

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    @property
    def name(self) -> str:
        """The name of the folder of images."""
        return self.store.image_root.name or str(self.store.image_root)

    def path_of(self, image: StoredImage) -> Path:
        """Where an image lies."""
        return self.store.image_root / image.path

    def look_for_images(self) -> int:
        """Add images that have come into the folder; returns how many images the store knows then.

        Only files of several pages are opened for it.

        Raises
        ------
        ImageError
            When the folder is gone.
        """
        root = self.store.image_root
        if not root.is_dir():
            raise ImageError(
                f"The images of this dataset are not at {root}: bring the folder back, or move the images."
            )
        known = {(image.path, image.page) for image in self.store.images()}
        first_pages = {path for path, _ in known}
        with self.store.transaction():
            for path in images_below(root):
                name = path.relative_to(root).as_posix()
                if name in first_pages and path.suffix.lower() not in _PAGED:
                    continue
                for page in range(_count_pages(path)):
                    if (name, page) not in known:
                        self.store.ensure_image(name, page)
                        known.add((name, page))
        return len(known)

    def read(self, image: StoredImage) -> NDArray[Any]:
        """The pixels of an image, (H, W) or (H, W, C).

        Raises
        ------
        ImageError
            When the file is gone or damaged, or has another size than its objects.
        """
        path = self.path_of(image)
        pixels = read_image(path, image.page)
        if image.height and pixels.shape[:2] != image.size:
            raise ImageError(
                f"{path} has {pixels.shape[0]} x {pixels.shape[1]} pixels now, its objects were made on "
                f"{image.height} x {image.width}: bring the old file back, or remove its objects."
            )
        return pixels

    def measured(self, image: StoredImage, pixels: NDArray[Any]) -> StoredImage:
        """The image with its size, which is learned when it is first read."""
        return self.store.ensure_image(image.path, image.page, *pixels.shape[:2])

    @property
    def current(self) -> StoredImage | None:
        """The image that was looked at last; the first one that needs work when there is none."""
        number = self.store.setting(_CURRENT)
        if number is not None:
            try:
                return self.store.image(int(number))
            except StoreError:  # it was removed
                pass
        images = list(self.store.images())
        return next((image for image in images if needs_work(image.state)), images[0] if images else None)

    def remember_current(self, image: StoredImage) -> None:
        """Keep which image is looked at, for the next time."""
        if self.store.setting(_CURRENT) != image.id:
            self.store.set_setting(_CURRENT, image.id)

    def categories(self) -> CategoryTable:
        """The class list of the dataset."""
        # Objects without a class have one in the store, which asks for one; it is none that a model is asked for.
        stored = [category for category in self.store.categories() if category.name != NO_CATEGORY]
        categories = tuple(Category(c.id, c.name, c.is_thing, c.supercategory) for c in stored)
        styles = {c.id: style for c in stored if (style := _style(c)) != ClassStyle()}
        return CategoryTable(categories, styles)

    def keep_categories(self, table: CategoryTable) -> CategoryTable:
        """Take over an edited class list; returns it with the ids of the store.

        A class that left the list is removed when no object has it.
        """
        with self.store.transaction():
            for category in table.categories:
                self.keep_category(table, category.name)
            names = {*table.names, NO_CATEGORY}
            for stored in self.store.categories():
                if stored.name not in names and not self.store.object_count(stored.id):
                    self.store.remove_category(stored.id)
        return self.categories()

    def keep_category(self, table: CategoryTable, name: str) -> int:
        """The stored id of a class, which is added or brought up to date."""
        number = table.id_of(name)
        known = self.store.find_category(name)
        if not number:
            return known.id if known else self.store.ensure_category(name).id
        style = table.style(number)
        wanted: dict[str, Any] = {
            "is_thing": next(c.is_thing for c in table.categories if c.id == number),
            "synonyms": style.synonyms,
            "colour": to_bytes(style.colour or colour_of(number)),
            "shortcut": str(style.shortcut or ""),
        }
        if known is None:
            return self.store.ensure_category(name, category_id=number, **wanted).id
        if any(getattr(known, key) != value for key, value in wanted.items() if key != "colour" or style.colour):
            wanted = wanted if style.colour else {key: value for key, value in wanted.items() if key != "colour"}
            self.store.update_category(known.id, **wanted)
        return known.id


def open_dataset(folder: Path | str) -> Dataset:
    """Open the dataset of a folder, or make one in a folder of images.

    Parameters
    ----------
    folder : path
        A folder that `psalm prelabel` or the annotator wrote, or a folder of images.

    Raises
    ------
    ImageError
        When there is neither a dataset nor an image.
    StoreError
        When the folder's store cannot be read.
    OutputError
        When the folder may not be written.
    """
    folder = Path(folder)
    if AnnotationStore.exists(folder):
        dataset = Dataset(AnnotationStore.open(folder, actor=ACTOR))
    else:
        if next(images_below(folder), None) is None:
            raise ImageError(f"{folder} holds neither a dataset nor an image: choose another folder.")
        dataset = Dataset(AnnotationStore.create(folder, folder, actor=ACTOR))
    try:
        if dataset.store.image_root.is_dir():
            dataset.look_for_images()
    except BaseException:
        dataset.close()
        raise
    return dataset


def needs_work(state: ImageState) -> bool:
    """Whether a person has still to look at an image."""
    return state not in (ImageState.VERIFIED, ImageState.SKIPPED)


def in_words(counts: dict[ImageState, int]) -> str:
    """How far a dataset is: "3 of 12 verified, 2 in review, 7 to do"."""
    total = sum(counts.values())
    rest: Iterable[tuple[ImageState, str]] = (
        (ImageState.IN_REVIEW, "in review"),
        (ImageState.PREDICTED, "predicted"),
        (ImageState.TODO, "to do"),
        (ImageState.SKIPPED, "skipped"),
        (ImageState.FAILED, "failed"),
    )
    parts = [f"{counts[state]} {text}" for state, text in rest if counts.get(state)]
    return ", ".join([f"{counts.get(ImageState.VERIFIED, 0)} of {total} verified", *parts])


def _count_pages(path: Path) -> int:
    if path.suffix.lower() not in _PAGED:
        return 1
    try:
        with open_image(path) as file:
            return file.pages
    except ImageError:
        return 1  # said when it is opened


def _style(category: StoredCategory) -> ClassStyle:
    """What was chosen for a category; the colour that its id gives was not."""
    chosen = category.colour not in (to_bytes(colour_of(category.id)), (255, 255, 255))
    colour = tuple(part / 255 for part in category.colour) if chosen else None
    shortcut = int(category.shortcut) if category.shortcut in tuple("123456789") else 0
    return ClassStyle(colour, category.synonyms, shortcut)  # type: ignore[arg-type]
