"""How far the objects of each slice can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SliceTrust:
    """One slice: the trust of its least trusted object, what speaks against it, and whether a person marked it."""

    value: float
    doubts: tuple[str, ...] = ()
    known: bool = False

    @property
    def words(self) -> str:
        """For a tooltip."""
        if self.known:
            return "followed from here"
        return ", ".join((f"trust {self.value:.2f}", *self.doubts))


@dataclass(frozen=True)
class Trusts:
    """The slices along an axis of an image.

    Parameters
    ----------
    axis : int
        Of the viewer's sliders.
    length : int
        How many slices there are.
    slices : mapping of int to SliceTrust
        Those that objects were followed to.
    """

    axis: int
    length: int
    slices: Mapping[int, SliceTrust] = field(default_factory=dict)
