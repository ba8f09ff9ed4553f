"""Which proposals become objects: what the sliders say, for all classes and for single ones."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from napari_psalm.core.preferences import ThresholdPreferences
from psalm.conditions import Task

USED_BY = {
    Task.INSTANCE: ("score", "mask", "overlap", "area", "most"),
    Task.PANOPTIC: ("score", "mask", "overlap", "area", "most"),
    Task.SEMANTIC: ("score", "area"),
    Task.REFERRING: ("mask", "area"),
    Task.GENERALISED_REFERRING: ("score", "mask", "area"),
    Task.INTERACTIVE: ("score", "mask", "area"),
}
"""The limits that change what a task finds."""


@dataclass(frozen=True)
class Limits:
    """What an object must meet.

    Parameters
    ----------
    score : float
        Its least score; of areas of a class, the least evidence in a pixel.
    mask : float
        The least probability of its pixels.
    overlap : float
        Instance: the largest IoU with a better object. Panoptic: the largest share that better segments may hide.
    area : int
        Its least number of pixels.
    most : int, optional
        How many objects there may be.
    """

    score: float = 0.5
    mask: float = 0.5
    overlap: float = 1.0
    area: int = 1
    most: int | None = None


@dataclass(frozen=True)
class ClassLimits:
    """Limits for all classes, and those of classes that have their own.

    Parameters
    ----------
    overall : Limits
    by_class : dict of str to Limits
    """

    overall: Limits = field(default_factory=Limits)
    by_class: dict[str, Limits] = field(default_factory=dict)

    def of(self, name: str) -> Limits:
        """The limits for a class."""
        return self.by_class.get(name, self.overall)

    def with_limits(self, limits: Limits, name: str | None = None) -> ClassLimits:
        """These, with other limits for one class, or for all that have no own when no name is given."""
        if name is None:
            return replace(self, overall=limits)
        return replace(self, by_class={**self.by_class, name: limits})

    def without(self, name: str) -> ClassLimits:
        """These, with a class back at the limits for all."""
        return replace(self, by_class={known: own for known, own in self.by_class.items() if known != name})


def model_limits(thresholds: Any, task: Task) -> Limits:
    """What suits the model.

    Parameters
    ----------
    thresholds : psalm.decoding.Thresholds
        The model's own.
    task : Task
    """
    area = max(thresholds.min_area, 1)
    if task is Task.INSTANCE:
        overlap = 1.0 if thresholds.nms_iou is None else thresholds.nms_iou
        return Limits(thresholds.score, overlap=overlap, area=area)
    if task is Task.PANOPTIC:
        return Limits(thresholds.panoptic_score, overlap=1 - thresholds.panoptic_overlap, area=area)
    if task is Task.SEMANTIC:
        return Limits(thresholds.semantic_score, area=area)
    return Limits(thresholds.score if task is Task.GENERALISED_REFERRING else 0.0, area=area)


def preferred_limits(limits: Limits, preferred: ThresholdPreferences) -> Limits:
    """Limits with those that the user changed in Preferences."""
    names = {"score": "score", "mask": "mask", "overlap": "overlap", "minimum_area": "area", "most_objects": "most"}
    usual = ThresholdPreferences()
    changed = {
        names[each.name]: getattr(preferred, each.name)
        for each in fields(preferred)
        if getattr(preferred, each.name) != getattr(usual, each.name)
    }
    return replace(limits, **changed)
