"""Arithmetic that the evaluations share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")


@dataclass(frozen=True)
class Overlap:
    """How one answer covers one truth.

    Parameters
    ----------
    intersection, union : int
        Pixels.
    source, category : str
        For figures per source and per category.
    """

    intersection: int
    union: int
    source: str = ""
    category: str = ""

    @classmethod
    def of(cls, answer: NDArray[np.bool_], truth: NDArray[np.bool_], source: str = "", category: str = "") -> Overlap:
        """Compare two masks (H, W)."""
        both = int(np.count_nonzero(answer & truth))
        either = int(np.count_nonzero(answer)) + int(np.count_nonzero(truth)) - both
        return cls(both, either, source, category)

    @property
    def iou(self) -> float:
        """Intersection over union; 1 when both are empty, as where nothing was asked for and nothing found."""
        return self.intersection / self.union if self.union else 1.0


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are numbers; None when there is none."""
    numbers = [float(value) for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def cumulative_iou(overlaps: Sequence[Overlap]) -> float | None:
    """Sum of intersections over sum of unions (cIoU)."""
    union = sum(overlap.union for overlap in overlaps)
    return sum(overlap.intersection for overlap in overlaps) / union if union else None


def share_above(overlaps: Sequence[Overlap], iou: float = 0.5) -> float | None:
    """Share of the answers with at least this IoU."""
    return mean(float(overlap.iou >= iou) for overlap in overlaps)


def grouped(items: Iterable[Item], key: Callable[[Item], str], figures: Callable[[list[Item]], Any]) -> dict[str, Any]:
    """Figures per group, groups sorted by name; items without a name are left out."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return {name: figures(groups[name]) for name in sorted(groups) if name}


def mean_over(groups: dict[str, Any], figure: str) -> float | None:
    """The mean of one figure over groups, so that large groups do not outweigh small ones."""
    return mean(group[figure] for group in groups.values())


def take_overlaps(overlaps: list[Overlap]) -> dict[str, Any]:
    """Overlaps as plain values, with their mean IoU as ``quality``; the list is emptied."""
    record = {"overlaps": [list(astuple(each)) for each in overlaps], "quality": mean(each.iou for each in overlaps)}
    overlaps.clear()
    return record
