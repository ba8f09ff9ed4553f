"""The labelled objects of one image, before anything is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Objects:
    """Masks with the position of their class.

    Parameters
    ----------
    masks : (N, H, W) array of bool
    labels : (N,) array of int
        Position of each object's class in the reader's names.
    is_crowd : (N,) array of bool
        Regions of many objects, which count neither for nor against an answer.
    """

    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]

    @classmethod
    def of(cls, masks: NDArray[np.bool_], labels: Sequence[int], is_crowd: Sequence[bool] | None = None) -> Objects:
        """From plain lists; without crowds when `is_crowd` is not given."""
        crowd = np.zeros(len(labels), bool) if is_crowd is None else np.array(is_crowd, dtype=bool)
        return cls(masks, np.array(labels, dtype=np.int64), crowd)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: NDArray[np.bool_]) -> Objects:
        """Some of the objects."""
        return Objects(self.masks[chosen], self.labels[chosen], self.is_crowd[chosen])

    def merged(self, countable: NDArray[np.bool_]) -> Objects:
        """Without crowds, and with one mask per class that is not `countable` (C,), things first."""
        kept = self.select(~self.is_crowd)
        things = kept.select(countable[kept.labels])
        rest = sorted(set(kept.labels[~countable[kept.labels]].tolist()))
        if not rest:
            return things
        joined = np.stack([kept.masks[kept.labels == label].any(axis=0) for label in rest])
        return Objects.of(np.concatenate([things.masks, joined]), [*things.labels.tolist(), *rest])


def objects_of_map(values: NDArray[np.integer], label_of: dict[int, int]) -> Objects:
    """One object per value of an (H, W) map that stands for a class.

    Parameters
    ----------
    values : (H, W) array of int
    label_of : dict
        Value -> position of the class; other values are unlabelled ground.
    """
    present = [int(value) for value in np.unique(values) if int(value) in label_of]
    masks = np.stack([values == value for value in present]) if present else np.zeros((0, *values.shape), bool)
    return Objects.of(masks, [label_of[value] for value in present])
