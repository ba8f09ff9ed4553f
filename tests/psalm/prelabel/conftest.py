from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from psalm.store import AnnotationStore
from tests.psalm.prelabel.fakes import FakePredictor, make_images


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven images."""
    return make_images(tmp_path / "images", 7)


@pytest.fixture
def content():
    """What a dataset holds, without ids, times and runs."""

    def read(dataset: Path) -> dict[tuple[str, int], Any]:
        with AnnotationStore.open(dataset, read_only=True) as store:
            names = {category.id: category.name for category in store.categories()}
            return {
                (image.path, image.page): (
                    image.state.value,
                    image.size,
                    image.content_hash,
                    image.error,
                    [
                        (names[found.category_id], found.rle["counts"], found.score, found.provenance)
                        for found in store.objects(image.id)
                    ],
                )
                for image in store.images()
            }

    return read
