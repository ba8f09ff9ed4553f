"""Changed copies of an image, each fixed by a number, so that what a model makes of a copy can be kept and reused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Augmentation:
    """How a copy differs from its image: cut to a window, flipped, then recoloured.

    Parameters
    ----------
    window : (row0, column0, row1, column1)
        Part of the image that is kept, in pixels; the upper ends are exclusive.
    flip_rows, flip_columns : bool
        Upside down; left to right.
    grey, invert : bool
        Without colour; as a negative.
    gamma, gain : float
        Brightness; 1 changes nothing.
    """

    window: tuple[int, int, int, int]
    flip_rows: bool = False
    flip_columns: bool = False
    grey: bool = False
    invert: bool = False
    gamma: float = 1.0
    gain: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the copy."""
        r0, c0, r1, c1 = self.window
        return r1 - r0, c1 - c0

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The copy of an (H, W, 3) image."""
        result = self._cut(image)
        if self.grey:
            luminance = (result.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
            result = np.repeat(luminance[..., None], 3, axis=2)
        if self.gamma != 1 or self.gain != 1 or self.invert:
            result = self._tone()[result]
        return np.ascontiguousarray(result)

    def masks(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The copies of (N, H, W) masks."""
        # Copied column by column: that is how COCO's run lengths are laid out, and several times faster here.
        columns = np.moveaxis(self._cut(np.moveaxis(masks, 0, -1)), (2, 1, 0), (0, 1, 2))
        return np.ascontiguousarray(columns).swapaxes(1, 2)

    def box(self, box: Box) -> Box:
        """A box in the copy, clipped to it; empty where the object is outside."""
        r0, c0 = self.window[:2]
        height, width = self.shape
        top, bottom = (min(max(row - r0, 0), height) for row in (box[0], box[2]))
        left, right = (min(max(column - c0, 0), width) for column in (box[1], box[3]))
        if self.flip_rows:
            top, bottom = height - bottom, height - top
        if self.flip_columns:
            left, right = width - right, width - left
        return top, left, bottom, right

    def _cut(self, array: NDArray) -> NDArray:
        r0, c0, r1, c1 = self.window
        return array[r0:r1, c0:c1][:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def _tone(self) -> NDArray[np.uint8]:
        values = np.clip((np.arange(256) / 255) ** self.gamma * self.gain, 0, 1)
        return np.round(255 * (1 - values if self.invert else values)).astype(np.uint8)


def draw_augmentation(
    name: str, variant: int, shape: tuple[int, int], boxes: Sequence[Box], upright: bool = True
) -> Augmentation:
    """The copy number `variant` of the image called `name`.

    Parameters
    ----------
    name : str
        Names the image; with `variant` it fixes the copy.
    variant : int
        0 is the image itself.
    shape : (height, width)
        Size of the image.
    boxes : sequence of (row0, column0, row1, column1)
        Its objects: a window is laid around one of them, so that a copy is never empty and small objects become bigger.
    upright : bool
        False where an image has no up (microscopy, aerial) and may be turned over and shown as a negative more often.
    """
    whole = (0, 0, *shape)
    if variant == 0:
        return Augmentation(whole)
    seed = hashlib.blake2b(f"{name}#{variant}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(seed, "little"))
    window = _window(shape, boxes[int(rng.integers(len(boxes)))], rng) if boxes and rng.random() < 0.65 else whole
    toned = rng.random() < 0.5
    return Augmentation(
        window,
        flip_rows=not upright and bool(rng.random() < 0.5),
        flip_columns=bool(rng.random() < 0.5),
        grey=bool(rng.random() < 0.08),
        invert=bool(rng.random() < (0.02 if upright else 0.2)),
        gamma=float(np.exp(rng.uniform(-0.35, 0.35))) if toned else 1.0,
        gain=float(rng.uniform(0.8, 1.15)) if toned else 1.0,
    )


def _window(shape: tuple[int, int], box: Box, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A window around most of `box`, in which the box fills between a seventh and two thirds of a side."""
    size = max(box[2] - box[0], box[3] - box[1]) / rng.uniform(0.15, 0.67)
    least = max(64.0, 0.3 * min(shape))
    edges: list[tuple[int, int]] = []
    for axis in (0, 1):
        side = int(np.clip(size * np.exp(rng.uniform(-0.2, 0.2)), min(least, shape[axis]), shape[axis]))
        middle = (box[axis] + box[axis + 2]) / 2 + rng.uniform(-0.35, 0.35) * side
        start = int(np.clip(middle - side / 2, 0, shape[axis] - side))
        edges.append((start, start + side))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]
