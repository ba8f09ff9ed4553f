"""Samples as model inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from psalm.conditions import SentenceCondition, Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.data.sample import Sample
from psalm.image_transform import ImageTransform
from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.prior_encoder import marks_of
from psalm.modeling.seeds import seed_targets
from psalm.prompts import Prompt, PromptBuilder
from psalm.training.described import DescribedQuestion
from psalm.training.targets import Target

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Batch:
    """Samples of one task, ready for the model.

    Parameters
    ----------
    images : (B, 3, S, S) tensor
        Without any row where the features are given.
    prompts : tuple of B Prompt
    regions : tuple of B Regions, optional
        Only where the task has visual priors.
    targets : tuple of B Target
    keys : tuple of B str
        Names of the pixels, for cached features; empty where they must not be cached.
    task : Task
    features : ImageFeatures, optional
        Of described images.
    questions : int
        So many neighbouring rows ask about one image.
    """

    images: Tensor
    prompts: tuple[Prompt, ...]
    regions: tuple[Regions, ...] | None
    targets: tuple[Target, ...]
    keys: tuple[str, ...]
    task: Task
    features: ImageFeatures | None = None
    questions: int = 1

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        regions = self.regions and tuple(row.to(device) for row in self.regions)
        targets = tuple(target.to(device) for target in self.targets)
        features = self.features and _moved(self.features, device)
        return replace(self, images=self.images.to(device), regions=regions, targets=targets, features=features)


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
        self._one_mask = config.num_mask_tokens == 1
        self._marks = config.mask_generator == "two_way"  # the other generator pools regions by their masks

    def __call__(self, samples: Sequence[Sample | DescribedQuestion], seeds: bool = False) -> Batch:
        """Transform images, masks and regions to the model image, and write the prompts.

        Parameters
        ----------
        samples : sequence of Sample, or of DescribedQuestion
        seeds : bool
            Of the objects, only where they are is learnt.
        """
        described = [sample for sample in samples if isinstance(sample, DescribedQuestion)]
        if described:
            return self._described(described)
        batch = self._seen([sample for sample in samples if isinstance(sample, Sample)])
        return replace(batch, targets=tuple(map(_seeds_alone, batch.targets))) if seeds else batch

    def _described(self, questions: Sequence[DescribedQuestion]) -> Batch:
        images = [question.image for question in questions]
        generator = {
            "description": pad_sequence([image.description for image in images], batch_first=True),
            "quality": pad_sequence([image.quality.float() for image in images], batch_first=True),
        }
        generator["masks"] = torch.zeros(*generator["quality"].shape, 1, 1)  # nobody looks at them
        tokens = torch.stack([image.image_tokens for image in images])
        most = generator["quality"].shape[1]
        return Batch(
            images=torch.zeros(0),
            prompts=tuple(self.prompts.build(question.task, question.condition) for question in questions),
            regions=None,
            targets=tuple(_known_target(question, most) for question in questions),
            keys=tuple(image.labelled.key for image in images),
            task=questions[0].task,
            features=ImageFeatures((), tokens, generator),  # half of the bytes in half precision, see `Batch.to`
        )

    def _seen(self, samples: Sequence[Sample]) -> Batch:
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
        regions = Regions(self.transform.masks(condition.masks), condition.kinds)
        if not self._marks:
            return regions
        excluded = None if condition.excluded is None else self.transform.masks(condition.excluded)
        return replace(regions, marks=marks_of(regions, excluded))

    def _target(self, sample: Sample) -> Target:
        """Empty masks are left out: no proposal can answer them. A model of one mask answers a sentence with all."""
        masks, labels = self.transform.masks(sample.masks), torch.as_tensor(sample.labels, dtype=torch.long)
        kept = masks.flatten(1).any(1)
        masks, labels = masks[kept], labels[kept]
        if self._one_mask and isinstance(sample.condition, SentenceCondition) and len(masks):
            masks, labels = masks.any(0, keepdim=True), labels[:1]
        return Target(masks, labels, sample.exhaustive)


def _seeds_alone(target: Target) -> Target:
    """Where objects are, instead of their masks, of which there may be hundreds."""
    return replace(target, masks=target.masks[:0], labels=target.labels[:0], seeds=seed_targets(target.masks))


def _known_target(described: DescribedQuestion, proposals: int) -> Target:
    """The answers by their overlap with the drafts, padded to as many `proposals` as the batch has."""
    question, known = described.question, described.image.overlap(described.question.answers)
    known = pad(known, (0, 0, 0, proposals - len(known)))
    labels = torch.tensor(question.labels, dtype=torch.long)
    return Target(torch.zeros(len(labels), 0, 0, dtype=torch.bool), labels, question.exhaustive, known)


def _moved(features: ImageFeatures, device: torch.device | str) -> ImageFeatures:
    """On a device, and there in single precision."""
    generator = {name: value.to(device).float() for name, value in features.generator.items()}
    return replace(features, image_tokens=features.image_tokens.to(device).float(), generator=generator)
