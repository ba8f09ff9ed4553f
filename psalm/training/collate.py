"""Samples as model inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from psalm.conditions import Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.data.sample import Sample
from psalm.image_transform import ImageTransform
from psalm.modeling.features import Regions
from psalm.prompts import Prompt, PromptBuilder
from psalm.training.targets import Target

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Batch:
    """Samples of one task, ready for the model.

    Parameters
    ----------
    images : (B, 3, S, S) tensor
    prompts : tuple of B Prompt
    regions : tuple of B Regions, optional
        Only where the task has visual priors.
    targets : tuple of B Target
    keys : tuple of B str
        Names of the pixels, for cached features; empty where they must not be cached.
    task : Task
    """

    images: Tensor
    prompts: tuple[Prompt, ...]
    regions: tuple[Regions, ...] | None
    targets: tuple[Target, ...]
    keys: tuple[str, ...]
    task: Task

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        regions = self.regions and tuple(replace(row, masks=row.masks.to(device)) for row in self.regions)
        targets = tuple(target.to(device) for target in self.targets)
        return replace(self, images=self.images.to(device), regions=regions, targets=targets)


class Collator:
    """Turn samples of one task into a batch.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    config : PSALMConfig
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: PSALMConfig) -> None:
        self.transform = ImageTransform(config)
        self.prompts = PromptBuilder(tokenizer, config)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Transform images, masks and regions to the model image, and write the prompts."""
        regions = tuple(self._regions(sample) for sample in samples)
        return Batch(
            images=torch.stack([self.transform.image(sample.image) for sample in samples]),
            prompts=tuple(self.prompts.build(sample.task, sample.condition) for sample in samples),
            regions=None if any(row is None for row in regions) else tuple(row for row in regions if row is not None),
            targets=tuple(self._target(sample) for sample in samples),
            keys=tuple(sample.key for sample in samples),
            task=samples[0].task,
        )

    def _regions(self, sample: Sample) -> Regions | None:
        condition = sample.condition
        if not isinstance(condition, VisualPriorCondition):
            return None
        return Regions(self.transform.masks(condition.masks), condition.kinds)

    def _target(self, sample: Sample) -> Target:
        """Empty masks are left out: no proposal can answer them."""
        masks = self.transform.masks(sample.masks)
        kept = masks.flatten(1).any(1)
        return Target(masks[kept], torch.as_tensor(sample.labels, dtype=torch.long)[kept], sample.exhaustive)
