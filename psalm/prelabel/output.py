"""Pictures of what the store holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Category
from psalm.coco.rle import sample
from psalm.cutouts import Cutout, CutoutAnnotations
from psalm.errors import ImageError
from psalm.overlay import draw_overlay, save_picture
from psalm.store import AnnotationStore, StoredImage, StoredObject
from psalm.tiling import ImageSource

_LONGEST = 4096


def draw_stored(store: AnnotationStore, image: StoredImage, folder: Path) -> None:
    """Draw the objects of an image over it and save the picture, of 4096 pixels at most a side, below a folder."""
    drawn = picture_of(store, image, _LONGEST) if image.height else None
    if drawn is None:
        return  # it was there a moment ago; the store has its objects
    page = f"-{image.page}" if image.page else ""
    save_picture(folder / f"{image.path}{page}.png", draw_overlay(*drawn))


def picture_of(
    store: AnnotationStore, image: StoredImage, longest: int
) -> tuple[NDArray[np.uint8], CutoutAnnotations] | None:
    """An image as (h, w, 3) and its objects, both shrunk where a side is longer than `longest`.

    Objects too small to be seen are left out; those without a score get 1. None when the image cannot be read any more
    or has another size.
    """
    try:
        source = ImageSource.of(store.image_root / image.path, image.page)
        if source.size != image.size:
            return None
        pixels = _shrunk(source, longest)
    except ImageError:
        return None
    return pixels, _objects(store, image, (pixels.shape[0], pixels.shape[1]))


def _shrunk(source: ImageSource, longest: int) -> NDArray[np.uint8]:
    from PIL import Image

    scale = max(max(source.size) / longest, 1)
    height, width = (max(round(length / scale), 1) for length in source.size)
    picture = Image.fromarray(source.read((0, 0, *source.size), scale))
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX))


def _objects(store: AnnotationStore, image: StoredImage, size: tuple[int, int]) -> CutoutAnnotations:
    categories = tuple(Category(each.id, each.name, each.is_thing, each.supercategory) for each in store.categories())
    names = {category.id: category.name for category in categories}
    # The pixels of the image that stand for those of the picture.
    places = [((np.arange(new) + 0.5) * old / new).astype(np.int64) for new, old in zip(size, image.size, strict=True)]
    seen = [(each, cutout) for each in store.objects(image.id) if (cutout := _cutout(each, *places))]
    return CutoutAnnotations(
        size,
        tuple(cutout for _, cutout in seen),
        np.array([each.category_id for each, _ in seen], dtype=np.int64),
        np.array([1.0 if each.score is None else each.score for each, _ in seen], dtype=np.float32),
        categories,
        tuple(str(each.provenance.prompt.get("text", names[each.category_id])) for each, _ in seen),
    )


def _cutout(found: StoredObject, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Cutout | None:
    row0, column0, row1, column1 = found.bbox
    first_row, last_row = np.searchsorted(rows, (row0, row1))
    first_column, last_column = np.searchsorted(columns, (column0, column1))
    mask = sample(found.rle, rows[first_row:last_row], columns[first_column:last_column])
    return Cutout.from_mask(mask, (int(first_row), int(first_column)))
