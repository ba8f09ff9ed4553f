"""Outlines of named shapes and their rasters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Ring = NDArray[np.float64]
_OVERSAMPLING = 2


def raster(rings: list[Ring], margin: int = 1) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Draw closed rings of (row, column) pixels; the first ring is filled, later ones are holes.

    Returns
    -------
    coverage : (h, w) array of float32
        Part of each pixel that is covered, 0 to 1, in the smallest window around the shape.
    corner : (row, column)
        Where the window's first pixel lies, in whole pixels.
    """
    low = np.floor(rings[0].min(axis=0)).astype(int) - margin
    size = np.ceil(rings[0].max(axis=0)).astype(int) + margin - low
    canvas = Image.new("L", (int(size[1]) * _OVERSAMPLING, int(size[0]) * _OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for i, ring in enumerate(rings):
        points = ((ring - low) * _OVERSAMPLING)[:, ::-1]
        pen.polygon(points.ravel().tolist(), fill=255 if i == 0 else 0)
    coverage = np.asarray(canvas.reduce(_OVERSAMPLING), dtype=np.float32) / np.float32(255)
    return coverage, (int(low[0]), int(low[1]))


def blob(rng: np.random.Generator, roughness: float = 0.12, elongation: float = 1.0) -> Ring:
    """A rounded irregular outline of about unit radius."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = np.ones_like(angle)
    for wave in range(2, 6):
        radius += rng.normal(0, roughness / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    stretch = np.sqrt(elongation)
    return np.stack([radius * np.sin(angle) / stretch, radius * np.cos(angle) * stretch], axis=1)


def rod(length: float) -> Ring:
    """A rod with round ends of unit half width and `length` times as long, along the columns."""
    half = np.linspace(-np.pi / 2, np.pi / 2, 9)
    cap = np.stack([np.sin(half), np.cos(half) + length - 1], axis=1)
    return np.concatenate([cap, -cap])


def place(ring: Ring, centre: tuple[float, float], size: float, angle: float) -> Ring:
    """Scale by `size` pixels, turn by `angle` radians and move to `centre` (row, column)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return size * ring @ np.array([[cos, sin], [-sin, cos]]) + centre


def _regular(corners: int) -> Ring:
    angle = np.arange(corners) * 2 * np.pi / corners - np.pi / 2
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def _circle(radius: float = 1.0) -> Ring:
    return radius * _regular(56)


def _box(height: float, width: float) -> Ring:
    return np.array([[-height, -width], [-height, width], [height, width], [height, -width]], dtype=np.float64)


def _star(rng: np.random.Generator) -> list[Ring]:
    points = int(rng.choice([5, 5, 5, 6]))
    ring = _regular(2 * points)
    ring[1::2] *= rng.uniform(0.4, 0.5)
    return [ring]


def _cross(rng: np.random.Generator) -> list[Ring]:
    a = rng.uniform(0.25, 0.36)
    arm = np.array([[-1, -a], [-1, a], [-a, a]])
    quarter_turn = np.array([[0, -1], [1, 0]])
    return [np.concatenate([arm @ np.linalg.matrix_power(quarter_turn, k) for k in range(4)])]


def _heart(rng: np.random.Generator) -> list[Ring]:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    column = 16 * np.sin(t) ** 3
    row = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return [np.stack([row, column], axis=1) / 16]


def _crescent(rng: np.random.Generator) -> list[Ring]:
    """A disc less another disc: the outer arc, then the inner arc back."""
    shift, inner = rng.uniform(0.45, 0.6), rng.uniform(0.82, 0.95)
    column = (1 - inner**2 + shift**2) / (2 * shift)
    outer = np.arccos(column)
    inner_end = np.arctan2(np.sin(outer), column - shift)
    there = np.linspace(outer, 2 * np.pi - outer, 40)
    back = np.linspace(2 * np.pi - inner_end, inner_end, 40)
    arc = np.stack([np.sin(there), np.cos(there)], axis=1)
    return [np.concatenate([arc, inner * np.stack([np.sin(back), np.cos(back)], axis=1) + (0, shift)])]


def _arrow(rng: np.random.Generator) -> list[Ring]:
    a, neck = rng.uniform(0.18, 0.28), rng.uniform(0.0, 0.25)
    return [np.array([[-a, -1], [-a, neck], [-0.65, neck], [0, 1], [0.65, neck], [a, neck], [a, -1]], dtype=np.float64)]


def _diamond(rng: np.random.Generator) -> list[Ring]:
    width = rng.uniform(0.55, 0.75)
    return [np.array([[-1, 0], [0, width], [1, 0], [0, -width]], dtype=np.float64)]


# name: (outline of about unit radius, largest turn to either side in radians)
SHAPES: dict[str, tuple[Callable[[np.random.Generator], list[Ring]], float]] = {
    "circle": (lambda rng: [_circle(0.9)], 0.0),
    "ellipse": (lambda rng: [_circle() * (rng.uniform(0.45, 0.62), 1.0)], np.pi),
    "square": (lambda rng: [_box(0.8, 0.8)], 0.3),
    "rectangle": (lambda rng: [_box(rng.uniform(0.35, 0.55), 1.0)], np.pi),
    "triangle": (lambda rng: [_regular(3) * (1.0, rng.uniform(0.85, 1.15))], np.pi),
    "pentagon": (lambda rng: [_regular(5)], np.pi),
    "hexagon": (lambda rng: [_regular(6)], np.pi),
    "diamond": (_diamond, 0.15),
    "star": (_star, np.pi),
    "cross": (_cross, np.pi),
    "ring": (lambda rng: [_circle(), _circle(rng.uniform(0.5, 0.7))], 0.0),
    "heart": (_heart, 0.5),
    "crescent": (_crescent, np.pi),
    "arrow": (_arrow, np.pi),
    "semicircle": (lambda rng: [_circle()[28:] + (0.4, 0.0)], np.pi),
}
