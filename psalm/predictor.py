"""Masks from an image and a condition: numpy in, `Annotations` out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from psalm.config import PSALMConfig
from psalm.errors import ConditionError, ImageError
from psalm.image_transform import Frame, ImageTransform
from psalm.images import to_rgb8
from psalm.prompts import Prompt, PromptBuilder
from psalm.proposals import MaskProposals

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from psalm.decoding import Thresholds
    from psalm.modeling.features import ImageFeatures, Regions
    from psalm.modeling.language_model import PrefixCache
    from psalm.modeling.psalm import PSALM


@dataclass(frozen=True)
class _EncodedImage:
    """What is kept of an image: its frame, its features, and the prefixes that were read, by their token ids."""

    frame: Frame
    features: ImageFeatures
    prefixes: dict[tuple[int, ...], PrefixCache] = field(default_factory=dict)


class PSALMPredictor:
    """Ask a model about images.

    The image is encoded once by `set_image`; any number of conditions may then be asked with `predict`.

    Parameters
    ----------
    model : PSALM
    tokenizer : transformers tokenizer
        The one the model was trained with.
    info : mapping, optional
        What the model's makers say of it.

    Attributes
    ----------
    thresholds : Thresholds
        What `predict` uses when not told otherwise.
    """

    def __init__(self, model: PSALM, tokenizer: PreTrainedTokenizerBase, info: Mapping[str, Any] | None = None) -> None:
        from psalm.decoding import Thresholds

        self.model = model.eval()
        self.info: dict[str, Any] = dict(info or {})
        self.thresholds = Thresholds.from_config(model.config, self.info.get("thresholds"))
        self._prompts = PromptBuilder(tokenizer, model.config)
        self._transform = ImageTransform(model.config)
        self._image: _EncodedImage | None = None

    @classmethod
    def from_pretrained(
        cls, name: str | Path = "psalm-tiny", device: str | torch.device | None = None
    ) -> PSALMPredictor:
        """Load a model.

        Parameters
        ----------
        name : str or path
            Name of a shipped model or of one fetched from the hub, a model folder, or a weights file in one.
        device : str or torch device, optional
            The best there is when not given: CUDA, Apple's MPS, or the CPU.

        Raises
        ------
        CheckpointError
            When the model cannot be found or loaded.
        """
        from psalm.checkpoint import load_model

        loaded = load_model(name, device=best_device() if device is None else device)
        return cls(loaded.model, loaded.tokenizer, loaded.info)

    @property
    def config(self) -> PSALMConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return next(self.model.parameters()).device

    def set_image(self, image: ArrayLike) -> None:
        """Encode an image; later calls of `predict` are about it.

        Parameters
        ----------
        image : (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array
            See `psalm.images.to_rgb8` for how bit depths are treated.

        Raises
        ------
        ImageError
            When the image cannot be used; no image is set then.
        """
        self._image = None
        frames, features = self._encode([image])
        self._image = _EncodedImage(frames[0], features)

    def predict(
        self,
        condition: Condition,
        task: Task | str | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> Annotations:
        """Find what a condition asks for in the image that was set.

        Parameters
        ----------
        condition : CategoryCondition, SentenceCondition or VisualPriorCondition
        task : Task or str, optional
            Instance, referring or interactive when not given, as fits the condition.
        score_threshold : float, optional
            Leave out objects with a lower score, whatever the task. When not given, a sentence or a region gets its
            best mask however low its score, and class lists use `thresholds`.
        thresholds : Thresholds, optional
            All limits of decoding; `self.thresholds` when not given.

        Returns
        -------
        Annotations
            At the original size.

        Raises
        ------
        ImageError
            When no image is set.
        ConditionError
            When the condition does not fit the task or the image.
        """
        task = _task(task, condition)
        proposals = self.predict_proposals(condition, task)
        return self.decode(proposals, condition, task, score_threshold, thresholds)

    def predict_proposals(self, condition: Condition, task: Task | str | None = None) -> MaskProposals:
        """The proposals (a batch of one) behind `predict`, to `decode` with several thresholds."""
        import torch

        image = self._current()
        prompt = self._prompts.build(_task(task, condition), condition)
        with torch.inference_mode():
            regions = self._regions([condition], [image.frame])
            return self.model.propose(image.features, [prompt], regions, prefix=self._prefix(image, prompt))[-1]

    def decode(
        self,
        proposals: MaskProposals,
        condition: Condition,
        task: Task | str | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> Annotations:
        """Turn proposals from `predict_proposals` into objects; parameters as in `predict`."""
        frames = [self._current().frame]
        return self._decode(proposals, [condition], frames, _task(task, condition), score_threshold, thresholds)[0]

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
        import torch

        if not len(images):
            return []
        if isinstance(condition, (CategoryCondition, SentenceCondition, VisualPriorCondition)):
            conditions: list[Condition] = [condition] * len(images)
        else:
            conditions = list(condition)
        if len(conditions) != len(images):
            raise ConditionError(f"{len(conditions)} conditions for {len(images)} images: give one, or one per image.")
        task = _task(task, conditions[0])
        prompts = [self._prompts.build(task, each) for each in conditions]
        frames, features = self._encode(images)
        with torch.inference_mode():
            proposals = self.model.propose(features, prompts, self._regions(conditions, frames))[-1]
        return self._decode(proposals, conditions, frames, task, score_threshold, thresholds)

    def _encode(self, images: Sequence[ArrayLike]) -> tuple[list[Frame], ImageFeatures]:
        import torch

        colours = [to_rgb8(image) for image in images]
        frames = [self._transform.frame(image.shape) for image in colours]
        dtype = next(self.model.parameters()).dtype
        pixels = torch.stack([self._transform.image(image, self.device) for image in colours]).to(dtype)
        with torch.inference_mode():
            return frames, self.model.encode_image(pixels)

    def _current(self) -> _EncodedImage:
        if self._image is None:
            raise ImageError("No image is set: call set_image(image) first.")
        return self._image

    def _prefix(self, image: _EncodedImage, prompt: Prompt) -> PrefixCache:
        if prompt.prefix not in image.prefixes:
            image.prefixes[prompt.prefix] = self.model.read_prefix(image.features, prompt)
        return image.prefixes[prompt.prefix]

    def _regions(self, conditions: Sequence[Condition], frames: Sequence[Frame]) -> list[Regions] | None:
        from psalm.modeling.features import Regions

        regions = []
        for condition, frame in zip(conditions, frames, strict=True):
            if not isinstance(condition, VisualPriorCondition):
                return None
            if condition.masks.shape[1:] != frame.original:
                raise ConditionError(
                    f"The regions have size {condition.masks.shape[1:]}, the image {frame.original} (height, width): "
                    "make them at the image's size."
                )
            regions.append(Regions(self._transform.masks(condition.masks, self.device), condition.kinds))
        return regions

    def _decode(
        self,
        proposals: MaskProposals,
        conditions: Sequence[Condition],
        frames: Sequence[Frame],
        task: Task,
        score_threshold: float | None,
        thresholds: Thresholds | None,
    ) -> list[Annotations]:
        import torch

        from psalm.decoding import decode

        limits = thresholds or self.thresholds
        if score_threshold is not None:
            limits = dataclasses.replace(
                limits, score=score_threshold, panoptic_score=score_threshold, semantic_score=score_threshold
            )
        with torch.inference_mode():
            found = decode(proposals, task, conditions, frames, limits)
        if score_threshold is None:
            return found
        return [annotations.select(annotations.scores >= score_threshold) for annotations in found]


def best_device() -> torch.device:
    """CUDA, Apple's MPS, or else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _task(task: Task | str | None, condition: Condition) -> Task:
    return default_task(condition) if task is None else check_task(task, condition)
