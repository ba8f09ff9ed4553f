"""Masks and provenance for datasets to export."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from psalm.store import Provenance

SIZE = (24, 30)


def shape(seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    """A mask with parts, holes, single pixels, and pixels at the image's border; never empty."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, dtype=bool)
    for _ in range(rng.integers(1, 5)):
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        height, width = rng.integers(1, 12, 2)
        mask[top : top + height, left : left + width] ^= True
    mask ^= rng.random(size) < rng.choice([0, 0, 0.02, 0.3])
    mask[0, 0] |= not mask.any()
    return mask


masks = st.integers(0, 2**32 - 1).map(shape)

ASKED = Provenance(
    "both",
    "psalm-tiny",
    "ab12",
    {"kind": "categories", "names": ["cell"]},
    {"score": 0.5},
    edited_pixels=7,
    edited_at="2025-01-01T00:00:00.000Z",
)
