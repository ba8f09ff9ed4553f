"""Datasets to export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from psalm.store import AnnotationStore, ImageState, NewObject
from tests.psalm.formats.builders import ASKED, SIZE, shape


@pytest.fixture
def image_root(tmp_path: Path) -> Path:
    """Three small images, one of them in a subfolder."""
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png", "c.png"):
        Image.fromarray(np.zeros(SIZE, dtype=np.uint8)).save(root / name)
    return root


@pytest.fixture
def new_store(tmp_path: Path, image_root: Path) -> Iterator[Callable[[], AnnotationStore]]:
    """Make empty datasets over the same images; they are closed at the end."""
    made: list[AnnotationStore] = []

    def make() -> AnnotationStore:
        made.append(AnnotationStore.create(tmp_path / f"dataset{len(made)}", image_root))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(new_store: Callable[[], AnnotationStore]) -> AnnotationStore:
    """A dataset: two things and a stuff category, overlapping objects, one image without any, one nobody looked at."""
    store = new_store()
    cell = store.ensure_category("cell", synonyms=["cells"], colour=(1, 2, 3), shortcut="c", category_id=5)
    sky = store.ensure_category("sky", is_thing=False, supercategory="air", category_id=9)
    first = store.ensure_image("a.png", 0, *SIZE)
    store.add_objects(first.id, [NewObject(cell.id, mask=shape(1), score=0.25, provenance=ASKED)])
    store.add_objects(first.id, [NewObject(sky.id, mask=shape(2)), NewObject(cell.id, mask=shape(3), score=1.0)])
    store.set_state(first.id, ImageState.VERIFIED)
    second = store.ensure_image("sub/b.png", 0, *SIZE)
    store.set_state(second.id, ImageState.VERIFIED)
    store.ensure_image("c.png", 0, *SIZE)
    return store
