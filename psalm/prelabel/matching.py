"""Which objects of two answers about an image are the same."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SAME_OBJECT = 0.5


class Match(NamedTuple):
    """A pair of objects, by their positions, and how well they overlap."""

    first: int
    second: int
    iou: float


def ious(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """The (N, M) IoUs of two lists of compressed RLEs of one image."""
    from pycocotools import mask as coco_mask

    if not first or not second:
        return np.zeros((len(first), len(second)))
    codes = [[dict(code) for code in codes] for codes in (first, second)]
    return np.asarray(coco_mask.iou(*codes, [0] * len(second)), dtype=np.float64)


def match(
    first: Sequence[tuple[Hashable, Mapping[str, Any]]],
    second: Sequence[tuple[Hashable, Mapping[str, Any]]],
    least_iou: float = SAME_OBJECT,
) -> list[Match]:
    """Pairs of objects of the same category, the best overlap first; an object is in one pair at most.

    Parameters
    ----------
    first, second : sequence of (category, RLE)
        Objects of one image.
    least_iou : float
    """
    overlaps = ious([code for _, code in first], [code for _, code in second])
    different = np.array([[one != other for other, _ in second] for one, _ in first], dtype=bool)
    overlaps[different.reshape(overlaps.shape)] = 0
    found: list[Match] = []
    taken: tuple[set[int], set[int]] = set(), set()
    for position in np.argsort(-overlaps, axis=None, kind="stable"):
        i, j = (int(index) for index in np.unravel_index(position, overlaps.shape))
        if overlaps[i, j] < max(least_iou, 1e-9):
            break
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            found.append(Match(i, j, float(overlaps[i, j])))
    return found
