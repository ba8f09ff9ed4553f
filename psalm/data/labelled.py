"""An image whose objects are known: what every source of questions has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Thing:
    """One object.

    Parameters
    ----------
    name : str
        Its category.
    box : (row0, column0, row1, column1)
        Pixels; the upper ends are exclusive.
    area : float
        Pixels of its mask.
    colour : str, optional
        A word of `psalm.data.words.COLOURS`; None where unknown or unclear.
    """

    name: str
    box: tuple[float, float, float, float]
    area: float
    colour: str | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """(row, column) of the middle of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class LabelledImage:
    """An image with its objects; masks are made only when asked for.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        RGB.
    things : tuple of Thing
    decode : callable
        Positions in `things` -> (N, H, W) array of bool.
    absent : tuple of str
        Names that are certainly not in the image.
    stuff : frozenset of str
        Names that are one region rather than countable objects.
    exhaustive : bool
        Whether every object of the names in `things` is there.
    incomplete : frozenset of str
        Names of which some objects are not labelled one by one.
    source, key : str
        As in `Sample`.
    expressions : tuple of (str, tuple of int)
        Sentences that came with the image, each with positions in `things`.
    """

    image: NDArray[np.uint8]
    things: tuple[Thing, ...]
    decode: Callable[[Sequence[int]], NDArray[np.bool_]]
    absent: tuple[str, ...] = ()
    stuff: frozenset[str] = frozenset()
    exhaustive: bool = True
    incomplete: frozenset[str] = frozenset()
    source: str = ""
    key: str = ""
    expressions: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.shape[0], self.image.shape[1]
