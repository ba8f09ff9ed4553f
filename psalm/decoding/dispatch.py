"""One entrance to the decoding of every task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition, Condition, Task, check_task
from psalm.config import PSALMConfig
from psalm.decoding.instance import decode_instance
from psalm.decoding.panoptic import decode_panoptic
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.referring import decode_generalised_referring, decode_referring
from psalm.decoding.regions import decode_interactive
from psalm.decoding.semantic import decode_semantic
from psalm.decoding.thresholds import Thresholds
from psalm.errors import ConditionError
from psalm.image_transform import Frame
from psalm.proposals import MaskProposals

_DECODERS: dict[Task, Callable[[QueryMasks, Tensor, Any, Thresholds], Annotations]] = {
    Task.PANOPTIC: decode_panoptic,
    Task.INSTANCE: decode_instance,
    Task.SEMANTIC: decode_semantic,
    Task.REFERRING: decode_referring,
    Task.GENERALISED_REFERRING: decode_generalised_referring,
    Task.INTERACTIVE: decode_interactive,
}


def decode(
    proposals: MaskProposals,
    task: Task | str,
    conditions: Sequence[Condition],
    frames: Sequence[Frame],
    thresholds: Thresholds | PSALMConfig,
) -> list[Annotations]:
    """Turn proposals into objects at the original size.

    Parameters
    ----------
    proposals : MaskProposals
        Of a batch of B images.
    task : Task
    conditions : sequence of Condition
        One per image.
    frames : sequence of Frame
        One per image.
    thresholds : Thresholds or PSALMConfig

    Returns
    -------
    list of Annotations
        One per image, better scores first; for interactive in the order of the regions.

    Raises
    ------
    ConditionError
        When conditions, frames and proposals do not fit each other or the task.
    """
    limits = Thresholds.from_config(thresholds) if isinstance(thresholds, PSALMConfig) else thresholds
    batch = len(proposals.mask_logits)
    if not len(conditions) == len(frames) == len(proposals.num_conditions) == batch:
        raise ConditionError(
            f"{len(conditions)} conditions and {len(frames)} frames for {batch} images: give one of each per image."
        )
    results = []
    for i, (condition, frame, count) in enumerate(zip(conditions, frames, proposals.num_conditions, strict=True)):
        decoder = _DECODERS[check_task(task, condition)]
        _check_count(condition, count)
        masks = QueryMasks(proposals.mask_logits[i], frame, None if proposals.quality is None else proposals.quality[i])
        results.append(decoder(masks, proposals.condition_logits[i, :, :count].float(), condition, limits))
    return results


def _check_count(condition: Condition, count: int) -> None:
    expected = len(condition) + isinstance(condition, CategoryCondition)
    if count != expected:
        raise ConditionError(
            f"The proposals answer {count} conditions (a background counts), the condition has {expected}: "
            "decode with the condition that was asked."
        )
