"""Masks from an image and a condition: numpy in, `Annotations` out."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from psalm.annotations import Annotations
from psalm.batch_prediction import BatchPrediction, choose_task
from psalm.conditions import (
    CategoryCondition,
    Condition,
    Task,
    VisualPriorCondition,
)
from psalm.config import PSALMConfig
from psalm.errors import ConditionError, ImageError, UnknownNameWarning
from psalm.image_transform import Frame, ImageTransform
from psalm.images import to_rgb8
from psalm.known_names import KnownNames
from psalm.prompts import Prompt, PromptBuilder
from psalm.proposals import MaskProposals

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from psalm.decoding import Thresholds
    from psalm.feature_store import FeatureStore
    from psalm.modeling.features import ImageFeatures, Regions
    from psalm.modeling.psalm import PSALM


Precision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class _EncodedImage:
    """What is kept of an image: its frame and its features."""

    frame: Frame
    features: ImageFeatures


class PSALMPredictor(BatchPrediction):
    """Ask a model about images.

    The image is encoded once by `set_image`; any number of conditions may then be asked with `predict`.

    Parameters
    ----------
    model : PSALM
    tokenizer : transformers tokenizer
        The one the model was trained with.
    info : mapping, optional
        What the model's makers say of it.
    store : FeatureStore, optional
        Where features of images are kept, so that an image that comes back is not encoded again; one of its own, in
        memory, when not given. A store serves one predictor.

    Attributes
    ----------
    thresholds : Thresholds
        What `predict` uses when not told otherwise.
    known_names : KnownNames
        What the model was trained to find by name. Another name is asked all the same, after an `UnknownNameWarning`.
    """

    def __init__(
        self,
        model: PSALM,
        tokenizer: PreTrainedTokenizerBase,
        info: Mapping[str, Any] | None = None,
        store: FeatureStore | None = None,
    ) -> None:
        from psalm.decoding import Thresholds
        from psalm.encoder import ImageEncoder

        self.model = model.eval()
        self.info: dict[str, Any] = dict(info or {})
        self.thresholds = Thresholds.from_config(model.config, self.info.get("thresholds"))
        self.known_names = KnownNames.from_info(self.info)
        self._warned: set[str] = set()
        self._prompts = PromptBuilder(tokenizer, model.config)
        self._transform = ImageTransform(model.config)
        self._encoder = ImageEncoder(self.model, store)
        self._image: _EncodedImage | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "psalm-tiny",
        device: str | torch.device | None = None,
        precision: Precision = "float32",
        store: FeatureStore | None = None,
    ) -> PSALMPredictor:
        """Load a model.

        Parameters
        ----------
        name : str or path
            Name of a shipped model or of one fetched from the hub, a model folder, or a weights file in one.
        device : str or torch device, optional
            The best there is when not given: CUDA, Apple's MPS, or the CPU.
        precision : {"float32", "bfloat16", "int8"}
            Of the weights in memory. With bfloat16 they need half of it, on processors that know it a quarter of the
            time; int8 keeps the language model in 8 bits and the rest in float32, for a CPU without bfloat16.
        store : FeatureStore, optional
            As for the predictor itself.

        Raises
        ------
        CheckpointError
            When the model cannot be found or loaded.
        """
        import torch

        from psalm.checkpoint import load_model

        dtype = torch.bfloat16 if precision == "bfloat16" else None
        loaded = load_model(name, device=best_device() if device is None else device, dtype=dtype)
        if precision == "int8":
            from psalm.quantisation import quantise_linears

            quantise_linears(loaded.model.language_model.model.layers)
        return cls(loaded.model, loaded.tokenizer, loaded.info, store)

    @property
    def config(self) -> PSALMConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def prompts(self) -> PromptBuilder:
        """What writes this model's prompts."""
        return self._prompts

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return next(self.model.parameters()).device

    @property
    def heeds_exclusions(self) -> bool:
        """Whether regions may come with exclusions, see `VisualPriorCondition`."""
        return self.config.mask_generator == "two_way"

    @cached_property
    def weights_hash(self) -> str:
        """What tells the model's weights from all others; recorded with the objects that they gave."""
        from psalm.weight_files import hash_weights

        return hash_weights(self.model)

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
        self._image = self._encoded(image)

    def prefetch(self, image: ArrayLike) -> None:
        """Encode an image that will soon be set, and read with it the instructions that were asked of others.

        Any thread may call it while another one predicts; `set_image` of the same pixels then costs next to nothing.

        Parameters
        ----------
        image : (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array

        Raises
        ------
        ImageError
            When the image cannot be used.
        """
        self._encoder.read_instructions(self._encoded(image).features)

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
        task = choose_task(task, condition)
        proposals = self.predict_proposals(condition, task)
        return self.decode(proposals, condition, task, score_threshold, thresholds)

    def predict_proposals(self, condition: Condition, task: Task | str | None = None) -> MaskProposals:
        """The proposals (a batch of one) behind `predict`, to `decode` with several thresholds."""
        image = self._current()
        parts = self._prompts.build_parts(choose_task(task, condition), condition)
        return self._propose(image.features, [parts], [condition], [image.frame])

    def decode(
        self,
        proposals: MaskProposals,
        condition: Condition,
        task: Task | str | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> Annotations:
        """Turn proposals from `predict_proposals` into objects; parameters as in `predict`."""
        frames, task = [self._current().frame], choose_task(task, condition)
        return self._decode(proposals, [condition], frames, task, score_threshold, thresholds)[0]

    def _propose(
        self,
        features: ImageFeatures,
        parts: Sequence[Sequence[Prompt]],
        conditions: Sequence[Condition],
        frames: Sequence[Frame],
    ) -> MaskProposals:
        """Ask each image its prompts; several per image, and alike, are the parts of many names or regions."""
        import torch

        from psalm.decoding import join_regions

        self._warn_of_names(conditions)
        with torch.inference_mode():
            regions = self._regions(conditions, frames)
            proposals, done = [], 0
            for prompts in zip(*parts, strict=True):
                stop = done + max(prompt.num_conditions for prompt in prompts)
                own = None if regions is None else [each.between(done, stop) for each in regions]
                proposals.append(self._ask(features, prompts, own))
                done = stop
            if regions is None and len(proposals) > 1:
                return self._read_again(features, proposals, conditions)
            return join_regions(proposals)

    def _ask(
        self, features: ImageFeatures, prompts: Sequence[Prompt], regions: Sequence[Regions] | None = None
    ) -> MaskProposals:
        # All images of a pass share a prefix, which is read once for each kind of condition.
        prefix = self._encoder.prefix(features, prompts[0])
        return self.model.propose(features, prompts, regions, prefix=prefix)[-1]

    def _read_again(
        self, features: ImageFeatures, parts: Sequence[MaskProposals], conditions: Sequence[Condition]
    ) -> MaskProposals:
        """The answer to a class list in parts: its likeliest names are read once more, together."""
        from psalm.decoding import among_all, likeliest_names, merge_parts

        lists = [condition for condition in conditions if isinstance(condition, CategoryCondition)]
        ranked = likeliest_names(merge_parts(parts))
        short = [self._prompts.build_shortlist(*each) for each in zip(lists, ranked, strict=True)]
        proposals = self._ask(features, [prompt for prompt, _ in short])
        return among_all(proposals, [names for _, names in short], len(lists[0]))

    def _warn_of_names(self, conditions: Sequence[Condition]) -> None:
        """Say once of each name that the model was never trained on it."""
        lists = [condition.names for condition in conditions if isinstance(condition, CategoryCondition)]
        names = [name for name in dict.fromkeys(sum(lists, ())) if name not in self._warned]
        self._warned.update(names)
        if message := self.known_names.warning(names):
            warnings.warn(f"{message} All that it knows: predictor.known_names.", UnknownNameWarning, stacklevel=4)

    def _encode(self, images: Sequence[ArrayLike]) -> tuple[list[Frame], ImageFeatures]:
        colours = [to_rgb8(image) for image in images]
        frames = [self._transform.frame(image.shape) for image in colours]
        return frames, self._features([self._transform.image(image, self.device) for image in colours])

    def _encoded(self, image: ArrayLike) -> _EncodedImage:
        colours = to_rgb8(image)
        features = self._encoder.recall(colours, lambda: self._features([self._transform.image(colours, self.device)]))
        return _EncodedImage(self._transform.frame(colours.shape), features)

    def _features(self, pixels: Sequence[torch.Tensor]) -> ImageFeatures:
        import torch

        return self._encoder.encode(torch.stack(list(pixels)).to(self.device))

    def _current(self) -> _EncodedImage:
        if self._image is None:
            raise ImageError("No image is set: call set_image(image) first.")
        return self._image

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
            regions.append(self._marked(Regions(self._transform.masks(condition.masks), condition.kinds), condition))
        return regions

    def _marked(self, regions: Regions, condition: VisualPriorCondition) -> Regions:
        """The regions with what stands for them and for what is excluded, where the model knows of it."""
        from psalm.modeling.prior_encoder import marks_of

        if self.heeds_exclusions:
            excluded = None if condition.excluded is None else self._transform.masks(condition.excluded)
            regions = dataclasses.replace(regions, marks=marks_of(regions, excluded))
        elif condition.excluded is not None:
            raise ConditionError("This model knows no exclusions: leave `excluded` out, and cut its answers.")
        return regions.to(self.device)

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
        kept = [annotations.scores >= score_threshold for annotations in found]
        # Selecting copies masks, of which a large image may have gigabytes.
        return [each if keep.all() else each.select(keep) for each, keep in zip(found, kept, strict=True)]


def best_device() -> torch.device:
    """CUDA, Apple's MPS, or else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
