"""Paint an image layer by layer: background, shaded objects, and the faults of a camera."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Picture = NDArray[np.float32]

# colour: ranges of hue in degrees, saturation and value, chosen so that no two words could be meant.
_RANGES = {
    "red": ((-6, 6), (0.8, 1.0), (0.65, 0.95)),
    "orange": ((22, 33), (0.85, 1.0), (0.9, 1.0)),
    "yellow": ((50, 58), (0.75, 1.0), (0.85, 1.0)),
    "green": ((95, 145), (0.6, 1.0), (0.4, 0.8)),
    "blue": ((208, 234), (0.65, 1.0), (0.55, 1.0)),
    "purple": ((270, 288), (0.55, 0.9), (0.45, 0.75)),
    "pink": ((322, 340), (0.35, 0.6), (0.93, 1.0)),
    "brown": ((18, 28), (0.6, 0.8), (0.33, 0.5)),
    "black": ((0, 360), (0.0, 0.2), (0.0, 0.1)),
    "white": ((0, 360), (0.0, 0.04), (0.93, 1.0)),
    "grey": ((0, 360), (0.0, 0.05), (0.42, 0.6)),
}


def named_rgb(colour: str, rng: np.random.Generator) -> Picture:
    """An RGB value (3,), 0 to 255, that everyone would call `colour`."""
    hue, saturation, value = (rng.uniform(*limits) for limits in _RANGES[colour])
    return 255 * np.array(colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value), dtype=np.float32)


def smooth_noise(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> Picture:
    """Soft random hills (H, W) in about -1 to 1, `cells` of them along a side."""
    grid = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize(shape[::-1], Image.Resampling.BICUBIC))


def background(shape: tuple[int, int], rng: np.random.Generator) -> Picture:
    """A picture (H, W, 3), 0 to 255: plain, graded, mottled or striped."""
    first, second = _two_colours(rng)
    kind = rng.choice(["plain", "graded", "mottled", "striped"], p=[0.15, 0.3, 0.35, 0.2])
    if kind == "plain":
        blend = np.zeros(shape, np.float32)
    elif kind == "graded":
        blend = _ramp(shape, rng.uniform(0, 2 * np.pi))
    elif kind == "mottled":
        blend = 0.5 + 0.3 * smooth_noise(shape, int(rng.integers(2, 8)), rng)
        blend += 0.25 * smooth_noise(shape, int(rng.integers(12, 48)), rng)
    else:
        waves = rng.uniform(4, 30)
        blend = 0.5 + 0.5 * np.sin(waves * 2 * np.pi * _ramp(shape, rng.uniform(0, 2 * np.pi)))
    return first + np.clip(blend, 0, 1, dtype=np.float32)[..., None] * (second - first)


def shade(coverage: Picture, rgb: Picture, rng: np.random.Generator) -> Picture:
    """Colours (h, w, 3) of one object's window: flat, lit from a side, striped, dotted or with a darker rim."""
    height, width = coverage.shape
    light = np.ones((height, width), np.float32)
    kind = rng.choice(["flat", "lit", "round", "striped", "rough"], p=[0.25, 0.3, 0.15, 0.12, 0.18])
    if kind == "lit":
        light += rng.uniform(0.1, 0.3) * (_ramp((height, width), rng.uniform(0, 2 * np.pi)) - 0.5)
    elif kind == "round":
        rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light -= (rng.uniform(0.1, 0.3) * (rows**2 + columns**2 - 0.5)).astype(np.float32)
    elif kind == "striped":
        waves = rng.uniform(3, 9) * 2 * np.pi
        light += 0.12 * np.sin(waves * _ramp((height, width), rng.uniform(0, 2 * np.pi)))
    elif kind == "rough":
        light += rng.uniform(0.05, 0.15) * smooth_noise((height, width), int(rng.integers(4, 14)), rng)
    return light[..., None] * rgb


def lay(picture: Picture, colours: Picture, coverage: Picture, corner: tuple[int, int]) -> tuple[slice, slice]:
    """Put an object's window onto the picture in place; the part outside is cut off. Returns where it went."""
    target, own = clip(picture.shape[:2], coverage.shape, corner)
    alpha = coverage[own][..., None]
    patch = picture[target]
    patch += alpha * (colours[own] - patch)
    return target


def clip(
    shape: tuple[int, ...], window: tuple[int, ...], corner: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a window at `corner` that lies inside `shape`: as slices of the image and of the window."""
    start = [max(c, 0) for c in corner]
    stop = [max(min(c + w, s), a) for c, w, s, a in zip(corner, window, shape, start, strict=False)]
    target = slice(start[0], stop[0]), slice(start[1], stop[1])
    own = slice(start[0] - corner[0], stop[0] - corner[0]), slice(start[1] - corner[1], stop[1] - corner[1])
    return target, own


def photograph(picture: Picture, rng: np.random.Generator, noise: float = 8.0) -> NDArray[np.uint8]:
    """The picture as a camera gives it: a little blurred, unevenly lit and noisy; (H, W, 3) uint8."""
    if rng.random() < 0.4:
        picture = picture * (1 + rng.uniform(0.05, 0.2) * smooth_noise(picture.shape[:2], 2, rng))[..., None]
    image = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        image = np.asarray(Image.fromarray(image).filter(ImageFilter.BoxBlur(float(rng.uniform(0.3, 1.3)))))
    if rng.random() < 0.6:
        image = add_noise(image, float(rng.uniform(1, noise)), rng)
    return np.ascontiguousarray(image)


def add_noise(image: NDArray[np.uint8], level: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add grey noise of `level` grey values; a table of noise read from a random place is enough and fast."""
    table = rng.normal(0, level, 1 << 14).astype(np.int16)
    size = image.shape[0] * image.shape[1]
    speckle = table[rng.integers(0, 1 << 14, size, dtype=np.uint16)].reshape(image.shape[:2])
    return np.clip(image + speckle[..., None], 0, 255).astype(np.uint8)


def _ramp(shape: tuple[int, int], angle: float) -> Picture:
    """A plane (H, W) from 0 to 1 that rises in the direction of `angle`."""
    rows = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    columns = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32) * np.float32(np.cos(angle))
    reach = np.float32(abs(np.sin(angle)) + abs(np.cos(angle)))
    return ((rows + columns) / reach + 0.5).astype(np.float32)


def _two_colours(rng: np.random.Generator) -> tuple[Picture, Picture]:
    """Two muted colours that differ mildly."""
    hue, saturation, value = rng.uniform(0, 1), rng.uniform(0, 0.5), rng.uniform(0.15, 0.95)
    first = np.array(colorsys.hsv_to_rgb(hue, saturation, value), dtype=np.float32)
    change = rng.uniform(-0.22, 0.22, 3).astype(np.float32)
    return 255 * first, 255 * np.clip(first + change, 0, 1)
