"""How an image is cut into tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from psalm.config import PSALMConfig
from psalm.errors import ConditionError
from psalm.tiling.source import Box

# What an object should measure on the model image: at 64, small things are so blurred that nuclei go unnamed.
OBJECT_PIXELS = 48
_LEAST_HALO = 1 / 8  # of the side of a tile
_MOST_HALO = 1 / 3


@dataclass(frozen=True)
class TilePlan:
    """How an image is cut into tiles; all is chosen automatically when nothing is given.

    Parameters
    ----------
    size : int, optional
        Side of a tile in pixels of the image, halo included.
    object_size : float, optional
        Diameter of the objects in pixels of the image: tiles are then cut, and pyramid levels read, so that an object
        measures about 48 pixels where the model sees it.
    most_objects : int, optional
        A tile in which this many objects are found is asked again in quarters. By default half of what the model can
        find at once: near its ceiling it has begun to overlook some.
    halo : int, optional
        How far, in pixels of the image, a tile looks beyond what it answers for; it should be at least three quarters
        of an object. By default an eighth of the tile, or as much as `object_size` asks for.
    factor : float
        Automatic: images with a side longer than `factor` times the model's input are cut.
    smallest : int
        Tiles are not made smaller than this many pixels.
    overview : bool, optional
        Also ask about the whole image at low resolution, for objects larger than a tile; by default when tiles were
        chosen automatically because of the image's size.

    Raises
    ------
    ConditionError
        When a number is not positive.
    """

    size: int | None = None
    object_size: float | None = None
    most_objects: int | None = None
    halo: int | None = None
    factor: float = 2.0
    smallest: int = 64
    overview: bool | None = None

    def __post_init__(self) -> None:
        for name in ("size", "object_size", "most_objects", "halo", "factor", "smallest"):
            value = getattr(self, name)
            if value is not None and (not math.isfinite(value) or value < 0 or (value == 0 and name != "halo")):
                raise ConditionError(f"A tile plan has {name} {value}: give a positive number.")

    def side(self, size: tuple[int, int], config: PSALMConfig) -> int | None:
        """The side of the tiles in pixels of the image; None when the image is asked as a whole."""
        longest, model = max(size), config.image_size
        if self.size is not None:
            side = max(self.size, self.smallest)
        elif self.object_size is not None:
            side = max(round(model * self.object_size / OBJECT_PIXELS), self.smallest)
        elif longest > self.factor * model:
            side = model
        else:
            return None
        return side if side < longest else None

    def fitted(self, object_size: float | None, size: tuple[int, int], config: PSALMConfig) -> TilePlan:
        """An automatic plan for an image (height, width) of objects of a known size, where it would show them small.

        Parameters
        ----------
        object_size : float, optional
            Diameter in pixels of the image; the plan stays as it is when not given.
        size : (height, width)
        config : PSALMConfig
        """
        if object_size is None or self.size is not None or self.object_size is not None:
            return self
        seen = config.image_size * object_size / (self.side(size, config) or max(size))
        return self if seen >= OBJECT_PIXELS / 2 else replace(self, object_size=object_size)

    def halo_of(self, side: int, object_size: float | None = None) -> int:
        """The halo of tiles of a side, where objects of `object_size` pixels are expected."""
        if self.halo is not None:
            return min(self.halo, int(side * _MOST_HALO))
        wanted = object_size if object_size is not None else self.object_size
        least = side * _LEAST_HALO
        return int(min(max(least, 0.75 * wanted + 4 if wanted else least), side * _MOST_HALO))

    def limit(self, config: PSALMConfig) -> int:
        """How many objects in one tile mean that it has too many."""
        return self.most_objects if self.most_objects is not None else max(places(config) // 2, 1)


@dataclass(frozen=True)
class Tile:
    """A part of an image that is asked by itself.

    Parameters
    ----------
    window : (row0, column0, row1, column1)
        What the model sees.
    core : (row0, column0, row1, column1)
        What the tile answers for; the cores of a grid meet without overlap.
    depth : int
        How often the tile was quartered.
    """

    window: Box
    core: Box
    depth: int = 0

    @property
    def side(self) -> int:
        """The longer side of the window in pixels."""
        return max(self.window[2] - self.window[0], self.window[3] - self.window[1])

    def quarters(self, size: tuple[int, int], halo: int) -> list[Tile]:
        """Four tiles with a quarter of the core each, in an image of a size."""
        r0, c0, r1, c1 = self.core
        rows, columns = (r0, (r0 + r1) // 2, r1), (c0, (c0 + c1) // 2, c1)
        cores = [(rows[i], columns[j], rows[i + 1], columns[j + 1]) for i in (0, 1) for j in (0, 1)]
        return [
            tile_around(core, size, halo, self.depth + 1) for core in cores if core[0] < core[2] and core[1] < core[3]
        ]


def tile_around(core: Box, size: tuple[int, int], halo: int, depth: int = 0) -> Tile:
    """A core with its halo, as far as the image reaches."""
    window = (
        max(core[0] - halo, 0),
        max(core[1] - halo, 0),
        min(core[2] + halo, size[0]),
        min(core[3] + halo, size[1]),
    )
    return Tile(window, core, depth)


def grid(size: tuple[int, int], side: int, halo: int) -> list[Tile]:
    """Tiles of about equal cores over an image of a size, none with a window longer than `side`."""
    cuts = [_cuts(length, side, halo) for length in size]
    return [
        tile_around((cuts[0][i], cuts[1][j], cuts[0][i + 1], cuts[1][j + 1]), size, halo)
        for i in range(len(cuts[0]) - 1)
        for j in range(len(cuts[1]) - 1)
    ]


def _cuts(length: int, side: int, halo: int) -> list[int]:
    if length <= side:
        return [0, length]
    # The first and the last tile have a halo on one side only.
    count = max(math.ceil((length - 2 * halo) / max(side - 2 * halo, 1)), 2)
    inner = (length - 2 * halo) / count
    return [0, *(round(halo + i * inner) for i in range(1, count)), length]


def places(config: PSALMConfig) -> int:
    """How many objects the model can find at once: its mask tokens, or the places at which the small one looks."""
    if config.mask_generator == "mask2former":
        return config.num_mask_tokens
    # A quarter of the seeds is a fixed grid.
    return min(config.num_mask_tokens, config.num_seeds - int((config.num_seeds // 4) ** 0.5) ** 2)
