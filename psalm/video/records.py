"""What is known and what was found in the frames of a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psalm.cutouts import Cutout
from psalm.errors import ConditionError


@dataclass(frozen=True)
class KnownFrame:
    """A frame in which objects were marked.

    Parameters
    ----------
    index : int
        Of the frame, from 0.
    masks : mapping of int to (H, W) array of bool
        By the id of the object; an empty mask says that the object is not in this frame. Objects that are not named are
        not known here.

    Raises
    ------
    ConditionError
        When no object is named, or sizes differ.
    """

    index: int
    masks: Mapping[int, NDArray[np.bool_]]

    def __post_init__(self) -> None:
        masks = {int(i): np.asarray(mask, dtype=bool) for i, mask in self.masks.items()}
        sizes = {mask.shape for mask in masks.values()}
        if self.index < 0 or len(sizes) != 1 or len(next(iter(sizes))) != 2:
            raise ConditionError(
                f"Frame {self.index} names objects with masks of the sizes {sorted(sizes)}: give at least one object, "
                "and masks of one size (height, width)."
            )
        object.__setattr__(self, "masks", masks)

    @classmethod
    def from_labels(cls, index: int, labels: NDArray[np.integer]) -> KnownFrame:
        """From a label image (H, W): every value above 0 is the id of an object."""
        return cls(index, {int(value): labels == value for value in np.unique(labels) if value > 0})


@dataclass(frozen=True)
class TrackedObject:
    """An object in one frame.

    Parameters
    ----------
    id : int
    cutout : Cutout, optional
        Its mask; None where the object is not in the frame.
    score : float
        How good the mask is, 0 to 1.
    trust : float
        How sure it is that this is the object, 0 to 1; 1 where it was marked by hand.
    doubts : tuple of str
        What speaks against it, in words.
    """

    id: int
    cutout: Cutout | None
    score: float
    trust: float
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrackedFrame:
    """The objects that were followed into one frame.

    Parameters
    ----------
    index : int
    size : (height, width)
        Of the frame in pixels.
    objects : tuple of TrackedObject
        By id; those that this pass follows.
    known : bool
        Whether the objects were marked here by hand.
    """

    index: int
    size: tuple[int, int]
    objects: tuple[TrackedObject, ...]
    known: bool = False

    @property
    def trust(self) -> float:
        """The trust of the least trusted object; 1 where there is none."""
        return min((one.trust for one in self.objects), default=1.0)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against the frame, with the object's id."""
        return tuple(f"object {one.id}: {doubt}" for one in self.objects for doubt in one.doubts)

    def to_labels(self) -> NDArray[np.uint32]:
        """One (H, W) label image with the objects' ids; where they overlap the one with more trust is seen."""
        labels = np.zeros(self.size, dtype=np.uint32)
        for one in sorted(self.objects, key=lambda one: one.trust):
            if one.cutout is not None:
                r0, c0, r1, c1 = one.cutout.box
                labels[r0:r1, c0:c1][one.cutout.mask()] = one.id
        return labels
