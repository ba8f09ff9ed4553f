"""Which categories an image may be asked for."""

from __future__ import annotations

from psalm.annotations import Category
from psalm.coco import CocoDataset, ImageEntry
from psalm.conditions import CategoryCondition

NOTE_SOURCES = "Images with a source were asked for the categories of that source, others for all categories."
NOTE_EXHAUSTIVE = (
    "{count} images are not labelled exhaustively: they were asked only for the categories annotated on them, and "
    "unlabelled pixels and objects of these categories may be missing from the truth."
)


class Vocabulary:
    """The categories to ask of each image of a data set.

    An image that is labelled exhaustively is asked for every category that occurs in its source (all categories when it
    names no source); any other image only for the categories annotated on it.

    Parameters
    ----------
    dataset : CocoDataset
    things_only : bool
        Leave out stuff.
    """

    def __init__(self, dataset: CocoDataset, things_only: bool = False) -> None:
        self._dataset = dataset
        self._categories = [c for c in dataset.categories if c.is_thing or not things_only]
        self._by_source: dict[str, set[int]] = {}
        for image in dataset.images:
            found = self._by_source.setdefault(image.source, set())
            found.update(annotation.category_id for annotation in dataset.by_image[image.id])

    def of(self, image: ImageEntry) -> tuple[Category, ...]:
        """The categories, in the order of the file; none for an image without labels that is not exhaustive."""
        if image.exhaustive and not image.source:
            return tuple(self._categories)
        ids = (
            self._by_source[image.source]
            if image.exhaustive
            else {annotation.category_id for annotation in self._dataset.by_image[image.id]}
        )
        return tuple(category for category in self._categories if category.id in ids)

    def notes(self, images: list[ImageEntry]) -> list[str]:
        """What a reader of the figures must know."""
        partial = sum(not image.exhaustive for image in images)
        notes = [NOTE_SOURCES] if any(image.source for image in images) else []
        return notes + ([NOTE_EXHAUSTIVE.format(count=partial)] if partial else [])


def condition_of(categories: tuple[Category, ...]) -> CategoryCondition:
    """The class list that asks for these categories."""
    return CategoryCondition(tuple(c.name for c in categories), tuple(c.is_thing for c in categories))
