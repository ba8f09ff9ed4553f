"""Several images in one pass of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from psalm.annotations import Annotations
from psalm.conditions import (
    CategoryCondition,
    Condition,
    SentenceCondition,
    Task,
    VisualPriorCondition,
    check_task,
    default_task,
)
from psalm.errors import ConditionError
from psalm.image_transform import Frame, ImageTransform
from psalm.images import to_rgb8
from psalm.prompts import Prompt, PromptBuilder
from psalm.proposals import MaskProposals

if TYPE_CHECKING:
    import torch

    from psalm.decoding import Thresholds
    from psalm.modeling.features import ImageFeatures


@dataclass(frozen=True)
class PreparedImage:
    """An image as the model takes it, still in the computer's own memory.

    Parameters
    ----------
    frame : Frame
    pixels : (3, S, S) tensor of float32
    """

    frame: Frame
    pixels: torch.Tensor


class BatchPrediction:
    """The part of `PSALMPredictor` that is about several images at once."""

    if TYPE_CHECKING:
        _prompts: PromptBuilder
        _transform: ImageTransform

        def _encode(self, images: Sequence[ArrayLike]) -> tuple[list[Frame], ImageFeatures]: ...

        def _features(self, pixels: Sequence[torch.Tensor]) -> ImageFeatures: ...

        def _propose(
            self,
            features: ImageFeatures,
            parts: Sequence[Sequence[Prompt]],
            conditions: Sequence[Condition],
            frames: Sequence[Frame],
        ) -> MaskProposals: ...

        def _decode(
            self,
            proposals: MaskProposals,
            conditions: Sequence[Condition],
            frames: Sequence[Frame],
            task: Task,
            score_threshold: float | None,
            thresholds: Thresholds | None,
        ) -> list[Annotations]: ...

    def predict_batch(
        self,
        images: Sequence[ArrayLike],
        condition: Condition | Sequence[Condition],
        task: Task | str | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> list[Annotations]:
        """Ask about several images in one pass; the image that was set stays.

        Parameters
        ----------
        images : sequence of arrays
            Sizes may differ.
        condition : Condition or sequence of Condition
            One for all images, or one per image, all of one kind.
        task, score_threshold, thresholds
            As in `predict`.
        """
        if not len(images):
            return []
        if isinstance(condition, (CategoryCondition, SentenceCondition, VisualPriorCondition)):
            conditions: list[Condition] = [condition] * len(images)
        else:
            conditions = list(condition)
        if len(conditions) != len(images):
            raise ConditionError(f"{len(conditions)} conditions for {len(images)} images: give one, or one per image.")
        task = choose_task(task, conditions[0])
        parts = [self._prompts.build_parts(task, each) for each in conditions]
        found: dict[int, Annotations] = {}
        for group in _alike(parts):
            asked = [conditions[i] for i in group]
            frames, features = self._encode([images[i] for i in group])
            proposals = self._propose(features, [parts[i] for i in group], asked, frames)
            answers = self._decode(proposals, asked, frames, task, score_threshold, thresholds)
            found.update(zip(group, answers, strict=True))
        return [found[i] for i in range(len(images))]

    def prepare(self, image: ArrayLike) -> PreparedImage:
        """What `predict_each` does to an image before the model sees it; other threads may do it meanwhile.

        Parameters
        ----------
        image : (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array

        Raises
        ------
        ImageError
            When the image cannot be used.
        """
        colours = to_rgb8(image)
        return PreparedImage(self._transform.frame(colours.shape), self._transform.image(colours))

    def encode_prepared(self, image: PreparedImage) -> ImageFeatures:
        """The features (a batch of one) of an image from `prepare`; the image that was set stays."""
        return self._features([image.pixels])

    def predict_each(
        self,
        images: Sequence[PreparedImage],
        conditions: Sequence[Condition],
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> list[list[Annotations]]:
        """Ask every condition about every image in one pass; each image is encoded once. The image that was set stays.

        Parameters
        ----------
        images : sequence of PreparedImage
            From `prepare`; original sizes may differ.
        conditions : sequence of Condition
            Regions only when there is one image.
        score_threshold, thresholds
            As in `predict`.

        Returns
        -------
        list of list of Annotations
            Per image, its answers in the order of the conditions.
        """
        frames = [image.frame for image in images]
        answers: list[list[Annotations]] = []
        features = self._features([image.pixels for image in images])
        for condition in conditions:
            task, asked = choose_task(None, condition), [condition] * len(images)
            parts = [self._prompts.build_parts(task, condition)] * len(images)
            proposals = self._propose(features, parts, asked, frames)
            answers.append(self._decode(proposals, asked, frames, task, score_threshold, thresholds))
        return [list(found) for found in zip(*answers, strict=True)]


def _alike(parts: Sequence[Sequence[Prompt]]) -> list[list[int]]:
    """Positions of the images that can be asked together: class lists in parts must have as many names in each."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, prompts in enumerate(parts):
        names = tuple(prompt.num_conditions for prompt in prompts) if len(prompts) > 1 else ()
        groups.setdefault(names, []).append(i)
    return list(groups.values())


def choose_task(task: Task | str | None, condition: Condition) -> Task:
    """The task as given, or the one that the condition most often means.

    Raises
    ------
    ConditionError
        When the condition does not fit the task.
    """
    return default_task(condition) if task is None else check_task(task, condition)
