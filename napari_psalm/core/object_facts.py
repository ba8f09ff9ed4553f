"""What is known of an object besides its pixels. An id never changes its facts: other facts are another id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from napari_psalm.core.category_table import NO_CATEGORY
from psalm.store.records import now

Origin = Literal["model", "hand", "both"]
COLUMNS = ("index", "class", "score", "prompt", "task", "origin", "area")
"""Columns of a layer's features; `index` is the id in the layer, which napari's status bar looks up."""
BY_HAND = "by hand"


@dataclass(frozen=True)
class FoundObject:
    """What an object is, and where it comes from.

    Parameters
    ----------
    category : str
        Its class.
    score : float
        How sure the model was, 0 to 1; 1 for what was drawn by hand.
    prompt : str
        What it answers, in words.
    task : str
        The task that found it.
    origin : {"model", "hand", "both"}
        Who made it, before any change in this layer.
    how : mapping
        What the store keeps of it: "model", "weights", "prompt", "thresholds" and "edited_at", each where known.
    edited_pixels : int
        Pixels that had been changed by hand before.
    """

    category: str
    score: float
    prompt: str
    task: str
    origin: Origin = "model"
    how: Mapping[str, Any] = field(default_factory=dict, compare=False)
    edited_pixels: int = 0

    @classmethod
    def by_hand(cls, category: str = NO_CATEGORY) -> FoundObject:
        """What was painted on empty ground."""
        return cls(category, 1.0, BY_HAND, BY_HAND, "hand")

    def renamed(self, category: str) -> FoundObject:
        """The same object with another class, given by a person now."""
        return replace(self, category=category, how={**self.how, "edited_at": now()})

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> FoundObject:
        """Read a row of features, of ours or of another plugin."""
        score = row.get("score")
        known = isinstance(score, (int, float)) and score == score
        origin = row.get("origin")
        name = row.get("class")
        return cls(
            name if isinstance(name, str) and name else NO_CATEGORY,
            float(score) if known else 1.0,  # type: ignore[arg-type]
            str(row.get("prompt", BY_HAND)),
            str(row.get("task", BY_HAND)),
            origin if origin in ("model", "hand", "both") else ("model" if known and "prompt" in row else "hand"),
        )
