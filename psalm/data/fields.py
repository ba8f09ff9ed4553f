"""Fields of cells, nuclei, bacteria and the like, as a microscope shows them, and of coins on a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psalm.data.canvas import Picture, add_noise, clip, lay, smooth_noise
from psalm.data.referring import Thing
from psalm.data.shapes import Ring, blob, place, raster, rod

FIELD_NAMES = ("cell", "nucleus", "bacterium", "red blood cell", "particle", "bubble")


@dataclass(frozen=True)
class _Look:
    """Colours of a preparation: ground, object and rim, RGB 0 to 255, and how much they vary."""

    ground: tuple[int, int, int]
    body: tuple[int, int, int]
    rim: tuple[int, int, int]
    spread: float = 0.12


_FLUORESCENT = (
    _Look((6, 6, 8), (190, 190, 190), (130, 130, 130), 0.35),
    _Look((4, 6, 20), (70, 110, 255), (50, 80, 200), 0.3),
    _Look((4, 14, 6), (60, 220, 90), (40, 160, 60), 0.3),
    _Look((16, 4, 4), (240, 70, 60), (180, 50, 40), 0.3),
)
_BRIGHT = (
    _Look((200, 200, 198), (165, 165, 162), (70, 70, 70)),
    _Look((176, 182, 170), (196, 202, 190), (84, 90, 80)),
    _Look((128, 128, 128), (150, 150, 150), (60, 60, 60)),
    _Look((150, 150, 150), (95, 95, 95), (215, 215, 215)),
)
_STAINED = (
    _Look((232, 196, 214), (110, 66, 140), (90, 50, 120), 0.15),
    _Look((240, 224, 232), (150, 90, 160), (120, 70, 140), 0.15),
    _Look((226, 214, 232), (84, 74, 150), (66, 56, 120), 0.15),
)
_LOOKS = {
    "cell": _BRIGHT + _FLUORESCENT[:3],
    "nucleus": _FLUORESCENT + _STAINED + _STAINED,
    "bacterium": (
        _BRIGHT[0],
        _BRIGHT[3],
        _FLUORESCENT[0],
        _FLUORESCENT[2],
        _Look((236, 226, 236), (130, 60, 150), (120, 50, 140)),
    ),
    "red blood cell": (
        _Look((236, 232, 226), (226, 150, 140), (200, 116, 108)),
        _Look((240, 236, 222), (214, 170, 160), (196, 130, 126)),
    ),
    "particle": (
        _FLUORESCENT[0],
        _Look((120, 120, 120), (210, 210, 210), (235, 235, 235)),
        _Look((205, 205, 205), (50, 50, 50), (30, 30, 30)),
    ),
    "bubble": (
        _Look((140, 170, 190), (176, 204, 220), (60, 84, 104)),
        _Look((190, 190, 190), (210, 210, 210), (60, 60, 60)),
    ),
}
_LOOKS["coin"] = (
    _Look((58, 58, 58), (150, 150, 150), (120, 120, 120), 0.2),
    _Look((96, 96, 96), (176, 176, 176), (206, 206, 206), 0.15),
    _Look((214, 214, 210), (120, 118, 112), (86, 84, 80), 0.2),
    _Look((104, 72, 46), (196, 160, 70), (160, 124, 50), 0.15),
    _Look((34, 48, 40), (178, 106, 66), (136, 78, 48), 0.2),
    _Look((52, 60, 96), (188, 188, 182), (142, 142, 138), 0.15),
)
# name: (smallest, largest radius in pixels at a height of 320, fewest, most)
_SIZES = {
    "cell": (16, 38, 4, 26),
    "nucleus": (6, 22, 6, 60),
    "bacterium": (2.5, 6, 6, 50),
    "red blood cell": (11, 24, 6, 40),
    "particle": (3, 12, 5, 50),
    "bubble": (6, 34, 4, 30),
    "coin": (13, 46, 3, 28),
}


def draw_field(
    size: tuple[int, int], rng: np.random.Generator, name: str | None = None
) -> tuple[NDArray[np.uint8], list[Thing], NDArray[np.bool_]]:
    """Draw one field; cells may show their nuclei, which then lie inside the cells' masks.

    Parameters
    ----------
    size : (height, width)
    rng : numpy.random.Generator
    name : str, optional
        What the field is of: one of `FIELD_NAMES`, or ``"coin"``; one of `FIELD_NAMES` by chance when not given.

    Returns
    -------
    image : (H, W, 3) array of uint8
    things : list of Thing
    masks : (N, H, W) array of bool
    """
    name = name or str(rng.choice(FIELD_NAMES, p=[0.28, 0.28, 0.16, 0.12, 0.08, 0.08]))
    look = _LOOKS[name][rng.integers(len(_LOOKS[name]))]
    field = _Field(size, look, rng)
    low, high, fewest, most = _SIZES[name]
    scale = min(size) / 320
    radius = scale * rng.uniform(low, low + 0.7 * (high - low))
    wanted = int(rng.integers(fewest, max(fewest + 1, round(most * min(1.0, 1.4 * low / (radius / scale)))) + 1))
    with_nuclei = name == "cell" and rng.random() < 0.45
    for _ in range(2 * wanted):
        if len(field.things) >= wanted * (1 + with_nuclei):
            break
        own = float(np.clip(radius * np.exp(rng.normal(0, 0.2)), low * scale, 1.3 * high * scale))
        field.add(name, own, with_nuclei)
    if not field.things:
        field.add(name, radius, with_nuclei, anywhere=True)
    return field.image(), field.things, np.stack(field.masks)


class _Field:
    """A field that is being drawn."""

    def __init__(self, size: tuple[int, int], look: _Look, rng: np.random.Generator) -> None:
        self._rng, self._look = rng, look
        ground = np.array(look.ground, np.float32)
        relief = 1 + 0.12 * smooth_noise(size, int(rng.integers(2, 6)), rng) + 0.05 * smooth_noise(size, 40, rng)
        self._picture = np.multiply(ground, relief[..., None], dtype=np.float32)
        self._taken = np.zeros(size, dtype=bool)
        self._crowding = rng.uniform(0.0, 0.12)
        self.things: list[Thing] = []
        self.masks: list[NDArray[np.bool_]] = []

    def add(self, name: str, radius: float, with_nucleus: bool, anywhere: bool = False) -> None:
        """Draw an object at a free place, if one is found at once."""
        rng = self._rng
        height, width = self._taken.shape
        centre = rng.uniform(0.3 * radius, height - 0.3 * radius), rng.uniform(0.3 * radius, width - 0.3 * radius)
        ring = place(_outline(name, rng), centre, radius, rng.uniform(0, 2 * np.pi))
        coverage, corner = raster([ring])
        target, own = clip(self._taken.shape, coverage.shape, corner)
        inside = coverage[own] > 0.5
        free = inside & ~self._taken[target]
        if inside.sum() < 12 or (free.sum() < (1 - self._crowding) * inside.sum() and not anywhere):
            return
        brightness = np.exp(rng.normal(0, self._look.spread))
        self._paint(name, coverage, corner, brightness)
        self._keep(name, target, free if not anywhere else inside)
        if with_nucleus:
            self._nucleus(place(blob(rng, 0.08), centre, radius * rng.uniform(0.3, 0.42), 0.0), target, brightness)

    def image(self) -> NDArray[np.uint8]:
        """The finished (H, W, 3) image."""
        pixels = np.clip(self._picture, 0, 255).astype(np.uint8)
        return add_noise(pixels, float(self._rng.uniform(1, 10)), self._rng)

    def _paint(self, name: str, coverage: Picture, corner: tuple[int, int], brightness: float) -> None:
        rim, body = (np.array(c, np.float32) for c in (self._look.rim, self._look.body))
        rows, columns = np.ogrid[-1 : 1 : coverage.shape[0] * 1j, -1 : 1 : coverage.shape[1] * 1j]
        depth = np.clip(1 - np.sqrt(rows**2 + columns**2), 0, 1).astype(np.float32)
        sharp = {"bubble": 5.0, "cell": 4.0, "coin": 6.0}.get(name, 2.0)
        weight = np.clip(sharp * depth, 0, 1)
        if name == "red blood cell":
            weight = np.clip(weight - 1.4 * np.clip(depth - 0.55, 0, 1), -0.3, 1)
        texture = 1 + 0.08 * smooth_noise(coverage.shape, 6, self._rng)
        if name == "coin":  # the relief of its face
            texture += 0.22 * smooth_noise(coverage.shape, 5, self._rng) + 0.12 * smooth_noise(
                coverage.shape, 14, self._rng
            )
        colours = (rim + weight[..., None] * (body - rim)) * (texture * brightness)[..., None]
        lay(self._picture, np.clip(colours, 0, 255), coverage, corner)

    def _nucleus(self, ring: Ring, within: tuple[slice, slice], brightness: float) -> None:
        coverage, corner = raster([ring])
        target, own = clip(self._taken.shape, coverage.shape, corner)
        inside = (coverage[own] > 0.5) & self.masks[-1][target]
        if inside.sum() < 12:
            return
        colours = np.full((*coverage.shape, 1), 0.9 * brightness, np.float32) * np.array(self._look.rim, np.float32)
        lay(self._picture, colours, coverage, corner)
        self._keep("nucleus", target, inside)

    def _keep(self, name: str, target: tuple[slice, slice], inside: NDArray[np.bool_]) -> None:
        mask = np.zeros(self._taken.shape, dtype=bool)
        mask[target] = inside
        self._taken[target] |= inside
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        r0, c0 = target[0].start, target[1].start
        box = r0 + int(rows[0]), c0 + int(columns[0]), r0 + int(rows[-1]) + 1, c0 + int(columns[-1]) + 1
        self.things.append(Thing(name, box, int(inside.sum())))
        self.masks.append(mask)


def _outline(name: str, rng: np.random.Generator) -> Ring:
    if name == "bacterium":
        return rod(rng.uniform(1.6, 4.0)) if rng.random() < 0.8 else blob(rng, 0.05)
    if name == "coin":
        return blob(rng, 0.015, rng.uniform(1.0, 1.06))
    if name in ("particle", "bubble", "red blood cell"):
        return blob(rng, 0.04, rng.uniform(1.0, 1.15))
    if name == "nucleus":
        return blob(rng, rng.uniform(0.05, 0.2), rng.uniform(1.0, 1.7))
    return blob(rng, rng.uniform(0.1, 0.3), rng.uniform(1.0, 1.8))
