"""Clips whose truth is known, and a follower that sees one frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from psalm.video.followers import Sight
from psalm.video.records import KnownFrame

SIZE = (60, 80)


class Clip:
    """Discs of grey values 1, 2, ... on black, as frames and as truth at once."""

    def __init__(self, paths: Sequence[Callable[[int], tuple[float, float] | None]], length: int) -> None:
        self._paths, self._length, self.read = paths, length, []

    def __len__(self) -> int:
        return self._length

    @property
    def names(self) -> list[str]:
        return [f"clip_{i:03d}.png" for i in range(self._length)]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        self.read.append(index)
        frame = np.zeros((*SIZE, 3), dtype=np.uint8)
        rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
        for number, path in enumerate(self._paths, 1):
            place = path(index)
            if place is not None:
                frame[(rows - place[0]) ** 2 + (columns - place[1]) ** 2 <= 36] = number
        return frame

    def known(self, index: int, *ids: int) -> KnownFrame:
        frame = self[index][..., 0]
        return KnownFrame(index, {i: frame == i for i in ids})


class GreyFollower:
    """Knows objects by their grey value; `blur` gives frames in which object 1 is seen badly."""

    def __init__(self, wrong: Mapping[int, NDArray[np.bool_]] | None = None, score: float = 0.9) -> None:
        self.remembered: list[tuple[int, ...]] = []
        self.places: dict[int, NDArray[np.bool_]] = {}
        self._wrong, self._score, self._opened = dict(wrong or {}), score, -1

    def open(self, frame: NDArray[np.uint8]) -> tuple[int, int]:
        self._frame = frame[..., 0]
        self._opened += 1
        return frame.shape[0], frame.shape[1]

    def remember(self, masks: Mapping[int, NDArray[np.bool_]]) -> None:
        self.remembered.append(tuple(masks))

    def locate(self, masks: Mapping[int, NDArray[np.bool_]]) -> None:
        self.places.update(masks)

    def look(self, ids: Sequence[int]) -> dict[int, Sight]:
        found = {}
        for i in ids:
            mask = self._wrong[self._opened] if i == 1 and self._opened in self._wrong else self._frame == i
            found[i] = Sight(mask, self._score if mask.any() else 0.1)
        return found


@pytest.fixture
def clip() -> Iterator[Clip]:
    """Two discs that move; the second is out of the picture from frame 4 to 6."""
    yield Clip([lambda t: (20, 10 + 5 * t), lambda t: None if 4 <= t <= 6 else (45, 70 - 5 * t)], 12)
