"""Scenes of named shapes in named colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from psalm.data.canvas import Picture, background, clip, lay, named_rgb, photograph, shade
from psalm.data.referring import Thing
from psalm.data.shapes import SHAPES, place, raster
from psalm.data.words import COLOURS

_VISIBLE = 0.7
_LEAST_PIXELS = 40
_CONTRAST = 70.0


def draw_shapes(
    size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[Thing], NDArray[np.bool_]]:
    """Draw a scene of about 3 to 14 shapes, of which at least 70 % is visible each.

    Returns
    -------
    image : (H, W, 3) array of uint8
    things : list of Thing
    masks : (N, H, W) array of bool
        What is visible of each.
    """
    scene = _Scene(size, rng)
    names = rng.choice(list(SHAPES), int(rng.integers(1, 6)), replace=False)
    colours = rng.choice(COLOURS, int(rng.integers(1, 6)), replace=False)
    wanted, scale = int(rng.integers(3, 15)), rng.uniform(0.06, 0.2) * min(size)
    for _ in range(3 * wanted):
        if len(scene.cast) == wanted:
            break
        radius = float(np.clip(scale * np.exp(rng.normal(0, 0.35)), 9, 0.3 * min(size)))
        scene.add(str(rng.choice(names)), str(rng.choice(colours)), radius)
    while not scene.cast:
        scene.add(str(rng.choice(list(SHAPES))), str(rng.choice(COLOURS)), scale)
    things, masks = scene.finish()
    return photograph(scene.picture, rng), things, masks


class _Scene:
    """A scene that is being drawn; `cast` holds (name, colour) in the order of drawing."""

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self._rng = rng
        self.picture = background(size, rng)
        self.cast: list[tuple[str, str]] = []
        # Pixels hold the number of the topmost shape, 1 for the first.
        self._owner = np.zeros(size, dtype=np.int16)
        self._whole, self._seen = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)

    def add(self, name: str, colour: str, radius: float) -> None:
        """Draw a shape, unless its place would hide too much or its colour would not show there."""
        rng = self._rng
        outline, turn = SHAPES[name]
        height, width = self._owner.shape
        centre = rng.uniform(0.8 * radius, height - 0.8 * radius), rng.uniform(0.8 * radius, width - 0.8 * radius)
        angle = rng.uniform(-turn, turn)
        coverage, corner = raster([place(ring, centre, radius, angle) for ring in outline(rng)])
        target, own = clip(self._owner.shape, coverage.shape, corner)
        inside = coverage[own] > 0.5
        area, whole = int(inside.sum()), int((coverage > 0.5).sum())
        if area < max(_VISIBLE * whole, _LEAST_PIXELS):
            return
        rgb = named_rgb(colour, rng)
        if np.abs(self.picture[target][inside].mean(axis=0) - rgb).sum() < _CONTRAST:
            return
        left = self._seen - np.bincount(self._owner[target][inside], minlength=len(self._seen))
        if (left[1:] < _VISIBLE * self._whole[1:]).any():
            return
        self._seen, self._whole = np.append(left, area), np.append(self._whole, whole)
        self.cast.append((name, colour))
        if rng.random() < 0.2:
            self._shadow(coverage, corner)
        lay(self.picture, shade(coverage, rgb, rng), coverage, corner)
        self._owner[target][inside] = len(self.cast)

    def finish(self) -> tuple[list[Thing], NDArray[np.bool_]]:
        """The shapes and their visible masks (N, H, W)."""
        masks = self._owner == np.arange(1, len(self.cast) + 1, dtype=np.int16)[:, None, None]
        things = []
        windows = ndimage.find_objects(self._owner)
        for (name, colour), window, area in zip(self.cast, windows, self._seen[1:], strict=True):
            rows, columns = window
            things.append(Thing(name, (rows.start, columns.start, rows.stop, columns.stop), int(area), colour))
        return things, masks

    def _shadow(self, coverage: Picture, corner: tuple[int, int]) -> None:
        row, column = self._rng.integers(1, 5, 2).tolist()
        dark = np.zeros((*coverage.shape, 3), np.float32)
        lay(self.picture, dark, 0.4 * coverage, (corner[0] + row, corner[1] + column))
