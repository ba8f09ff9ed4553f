from __future__ import annotations

import numpy as np
import pytest

from psalm.data.canvas import named_rgb
from psalm.data.words import ALIASES, COLOURS, colour_name, plural


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("cat", "cats"),
        ("corn kernel", "corn kernels"),
        ("nucleus", "nuclei"),
        ("glass", "glasses"),
        ("balcony", "balconies"),
        ("monkey", "monkeys"),
        ("jeans", "jeans"),
        ("hole in the road", "holes in the road"),
        ("red cross", "red crosses"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_is_called_by_its_name(colour: str) -> None:
    for seed in range(50):
        rgb = named_rgb(colour, np.random.default_rng(seed)).astype(np.uint8)
        assert colour_name(np.tile(rgb, (30, 1))) == colour


def test_mixed_or_missing_pixels_have_no_colour() -> None:
    assert colour_name(np.zeros((0, 3), np.uint8)) is None
    assert colour_name(np.array([[255, 0, 0], [0, 0, 255]] * 20, np.uint8)) is None


def test_no_alias_repeats_its_name() -> None:
    assert all(name not in aliases for name, aliases in ALIASES.items())
