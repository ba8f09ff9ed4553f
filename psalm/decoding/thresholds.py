"""What decides whether a proposal becomes an object."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psalm.config import PSALMConfig
from psalm.errors import CheckpointError


@dataclass(frozen=True)
class Thresholds:
    """Limits of decoding; each task reads those that concern it.

    Parameters
    ----------
    score : float
        Instance and generalised referring: the least score of an object.
    panoptic_score : float
        Panoptic: the least probability of a segment's category.
    panoptic_overlap : float
        Panoptic: the least share of a segment that other segments leave visible.
    semantic_score : float
        Semantic: pixels where no category reaches this sum stay unlabelled. With 0, as published, every pixel gets the
        best of the named categories.
    nms_iou : float, optional
        Instance: of two objects that overlap by more than this IoU the better one stays; None keeps both.
    inside : float, optional
        Instance: an object that lies inside a better one of its category by more than this share of its own area is
        taken for a part of it and dropped; None keeps it.
    min_area : int
        Objects with fewer pixels at the original size are dropped.
    top_k : int, optional
        Instance: how many pairs of query and category are looked at; None is as many as there are queries.
    """

    score: float = 0.5
    panoptic_score: float = 0.8
    panoptic_overlap: float = 0.8
    semantic_score: float = 0.0
    nms_iou: float | None = None
    inside: float | None = None
    min_area: int = 1
    top_k: int | None = None

    @classmethod
    def from_config(cls, config: PSALMConfig, chosen: Mapping[str, Any] | None = None) -> Thresholds:
        """The limits that a model's config asks for.

        Parameters
        ----------
        config : PSALMConfig
        chosen : mapping, optional
            Limits that were chosen on validation data and stored with the weights; they go before the config's.

        Raises
        ------
        CheckpointError
            When `chosen` names a limit that there is not.
        """
        known = {
            "score": config.score_threshold,
            "panoptic_score": config.panoptic_score_threshold,
            "panoptic_overlap": config.panoptic_overlap_threshold,
        }
        unknown = sorted(set(chosen or {}) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise CheckpointError(
                f"The model's info.json sets the thresholds {', '.join(unknown)}, which are unknown: remove them."
            )
        return cls(**(known | dict(chosen or {})))
