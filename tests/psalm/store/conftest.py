"""A small store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from psalm.store import AnnotationStore
from tests.psalm.store.builders import SIZE


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


@pytest.fixture
def store(dataset: Path, tmp_path: Path) -> Iterator[AnnotationStore]:
    """A store with the categories cell (1) and nucleus (2) and the image a.png (1)."""
    (tmp_path / "images").mkdir()
    with AnnotationStore.create(dataset, tmp_path / "images", actor="tester") as made:
        made.ensure_category("cell")
        made.ensure_category("nucleus")
        made.ensure_image("a.png", 0, *SIZE, "f00d")
        yield made
