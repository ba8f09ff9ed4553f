"""Objects that were found whole, in tiles or by examples, kept so that limits can be set anew without the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from napari_psalm.core.exclusions import Exclusions
from napari_psalm.core.patches import Patch
from psalm.conditions import Task
from psalm.tiling.merging import touching_pairs


@dataclass(frozen=True)
class KeptObjects:
    """Finished masks: all limits but that of the mask itself can be set anew.

    Parameters
    ----------
    task : Task
    names : tuple of str
        One per part of the question; prompts have none ("").
    shape : (height, width)
        Of what was looked at.
    patches : tuple of Patch
        The masks, those with better scores first.
    scores : tuple of float
    parts : tuple of int
        Which part of the question each answers, from 0.
    exclusions : Exclusions
        What must not belong to an object.
    """

    task: Task
    names: tuple[str, ...]
    shape: tuple[int, int]
    patches: tuple[Patch, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)
    parts: tuple[int, ...] = field(repr=False)
    exclusions: Exclusions = field(default_factory=Exclusions)

    @cached_property
    def rivals(self) -> dict[int, list[tuple[int, float]]]:
        """By object, the better ones that it overlaps, with their IoU; pairs of thousands are looked at once."""
        found: dict[int, list[tuple[int, float]]] = {}
        for i, j in touching_pairs([_box(patch) for patch in self.patches]):
            iou = self.patches[i].iou(self.patches[j])
            if iou:
                found.setdefault(max(i, j), []).append((min(i, j), iou))
        return found


def kept_objects(
    task: Task,
    names: tuple[str, ...],
    shape: tuple[int, int],
    objects: Sequence[tuple[Patch, float, int]],
    exclusions: Exclusions | None = None,
) -> KeptObjects:
    """Keep objects, given as (mask, score, part of the question) in any order."""
    order = np.argsort([-score for _, score, _ in objects], kind="stable").tolist()
    patches, scores, parts = zip(*(objects[i] for i in order), strict=True) if objects else ((), (), ())
    return KeptObjects(task, names, shape, patches, scores, parts, exclusions or Exclusions())


def _box(patch: Patch) -> tuple[int, int, int, int]:
    rows, columns = patch.slices
    return rows.start, columns.start, rows.stop, columns.stop
