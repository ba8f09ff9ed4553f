"""Files that a run writes beside the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from psalm.annotations import Annotations, Category
from psalm.errors import ImageError
from psalm.images import read_image
from psalm.overlay import draw_overlay, save_picture
from psalm.store import AnnotationStore, StoredImage


def annotations_of(store: AnnotationStore, image: StoredImage) -> Annotations:
    """The objects of an image with decoded masks; those without a score get 1."""
    found = store.objects(image.id)
    categories = tuple(Category(each.id, each.name, each.is_thing, each.supercategory) for each in store.categories())
    names = {category.id: category.name for category in categories}
    return Annotations(
        np.stack([each.mask() for each in found]) if found else np.zeros((0, *image.size), dtype=bool),
        np.array([each.category_id for each in found], dtype=np.int64),
        np.array([1.0 if each.score is None else each.score for each in found], dtype=np.float32),
        categories,
        tuple(str(each.provenance.prompt.get("text", names[each.category_id])) for each in found),
    )


def draw_stored(store: AnnotationStore, image: StoredImage, folder: Path) -> None:
    """Draw the objects of an image over it and save the picture below a folder."""
    if not image.height:
        return
    try:
        pixels = read_image(store.image_root / image.path, image.page)
    except ImageError:
        return  # it was there a moment ago; the store has its objects
    page = f"-{image.page}" if image.page else ""
    save_picture(folder / f"{image.path}{page}.png", draw_overlay(pixels, annotations_of(store, image)))
