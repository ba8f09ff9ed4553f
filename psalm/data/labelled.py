"""An image whose objects are known: what every source of questions has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from psalm.data.referring import Expression, Thing, expressions
from psalm.data.words import colour_name

_MOST_COLOURED = 12


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
    rivals : tuple of str
        Those of `absent` that images of the same source are labelled with.
    unchecked : tuple of str
        Names that nobody looked for: the image may show them or not, but no object in `things` is called so.
    colours : tuple of str or None, optional
        The colour that the pixels of each object show, None where unclear; found from the pixels when not given.
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
    rivals: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    colours: tuple[str | None, ...] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.shape[0], self.image.shape[1]

    @cached_property
    def coloured(self) -> tuple[Thing, ...]:
        """The objects with the colours that their pixels show; not for crowds, where no sentence needs them."""
        if self.colours is not None:
            pairs = zip(self.things, self.colours, strict=True)
            return tuple(replace(thing, colour=colour) for thing, colour in pairs)
        things = list(self.things)
        for name in {thing.name for thing in things} - self.stuff:
            same = [i for i, thing in enumerate(things) if thing.name == name and thing.colour is None]
            if not same or len(same) > _MOST_COLOURED:
                continue
            for i, mask in zip(same, self.decode(same), strict=True):
                r0, c0, r1, c1 = (round(edge) for edge in things[i].box)
                pixels = self.image[r0:r1, c0:c1][mask[r0:r1, c0:c1]]
                things[i] = replace(things[i], colour=colour_name(pixels))
        return tuple(things)

    @cached_property
    def sentences(self) -> list[Expression]:
        """Every sentence that the rules can make of the objects."""
        return expressions(self.coloured, self.shape)
