"""The decoded results of a recorded case; of a batch the published code keeps the first image alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds, decode
from psalm.decoding.query_masks import QueryMasks
from psalm.image_transform import Frame, ImageTransform
from psalm.parity.category_results import compare_instances, compare_panoptic, compare_semantic
from psalm.parity.findings import Findings
from psalm.parity.object_results import compare_objects, compare_referring, compare_regions
from psalm.parity.originals import Originals
from psalm.prompts import Prompt
from psalm.proposals import MaskProposals


@dataclass(frozen=True)
class Answer:
    """The first image of a case: its proposals, and a way to decode them.

    Parameters
    ----------
    proposals : MaskProposals
        Of the whole batch.
    conditions, frames
        One per image.
    facts, tensors
        What was recorded.
    originals : Originals
        The query masks of the first image.
    """

    proposals: MaskProposals
    conditions: Sequence[Condition]
    frames: Sequence[Frame]
    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    originals: Originals

    @property
    def logits(self) -> Tensor:
        """Condition logits (Q, K) of the first image."""
        return self.proposals.condition_logits[0, :, : self.proposals.num_conditions[0]]

    @property
    def width(self) -> int:
        """Original width of the first image."""
        return self.frames[0].original[1]

    def decode(self, task: Task, thresholds: Thresholds) -> Annotations:
        """What the user would get for the first image."""
        return decode(self.proposals, task, self.conditions, self.frames, thresholds)[0]


def compare_results(
    findings: Findings,
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    proposals: MaskProposals,
    prompts: Sequence[Prompt],
    config: PSALMConfig,
) -> None:
    """Every result that was recorded for the case."""
    frames = _frames(findings, facts, config)
    conditions = [_condition(prompt, facts, frame) for prompt, frame in zip(prompts, frames, strict=True)]
    originals = Originals(QueryMasks(proposals.mask_logits[0], frames[0]))
    answer = Answer(proposals, conditions, frames, facts, tensors, originals)
    if prompts[0].kind == "categories":
        if "post_inst_scores" in tensors:
            compare_instances(findings, answer)
        if "post_panoptic_seg" in tensors:
            compare_panoptic(findings, answer, Thresholds.from_config(config))
        if "post_sem_seg" in tensors:
            compare_semantic(findings, answer)
    elif prompts[0].kind == "sentence":
        compare_referring(findings, answer)
    else:
        compare_regions(findings, answer)
        if "davis_fused_mask" in tensors:
            compare_objects(findings, answer)


def _frames(findings: Findings, facts: Mapping[str, Any], config: PSALMConfig) -> list[Frame]:
    transform = ImageTransform(config)
    frames = [transform.frame((info["height"], info["width"])) for info in facts["seg_info"]]
    recorded = [(info["unpadded_h"], info["unpadded_w"]) for info in facts["seg_info"]]
    findings.numbers("resized shape", torch.tensor([frame.resized for frame in frames]), torch.tensor(recorded), 0.0)
    return frames


def _condition(prompt: Prompt, facts: Mapping[str, Any], frame: Frame) -> Condition:
    """A condition with as many parts as the prompt has; its words have been read already."""
    if prompt.kind == "sentence":
        return SentenceCondition("the recorded sentence")
    if prompt.kind == "regions":
        return VisualPriorCondition(np.ones((prompt.num_conditions, *frame.original), dtype=bool))
    names = tuple(f"class {i}" for i in range(prompt.num_conditions - 1))
    return CategoryCondition(names, tuple(bool(flag) for flag in facts.get("is_thing_list") or ()))
