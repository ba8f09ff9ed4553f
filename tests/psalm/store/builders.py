"""Small objects for a store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from psalm.store import NewObject, Provenance

SIZE = (5, 7)
BY_MODEL = Provenance(
    "model", "psalm-tiny", "a1b2", {"kind": "categories", "names": ["cell", "nucleus"]}, {"score": 0.5}
)


def box(row0: int, column0: int, row1: int, column1: int, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    """A mask that is true inside a box."""
    mask = np.zeros(size, dtype=bool)
    mask[row0:row1, column0:column1] = True
    return mask


def by_model(*corners: int, category_id: int = 1) -> NewObject:
    """An object as a batch makes it."""
    return NewObject(category_id, box(*corners), score=0.9, provenance=BY_MODEL)


def by_hand(*corners: int, category_id: int = 1) -> NewObject:
    """An object as a person draws it."""
    return NewObject(category_id, box(*corners))
