"""Describe the images of a collection once, for stages that train the language model alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from psalm.data.labelled import LabelledImage
from psalm.data.mixture import Samples
from psalm.errors import ConfigError
from psalm.image_transform import ImageTransform
from psalm.modeling.psalm import PSALM
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.training.described import DescribedImage, DescribedSamples
from psalm.training.feature_cache import FeatureCache
from psalm.training.frozen import evaluating
from psalm.training.targets import overlaps

_MEASURED = 20_000  # descriptions that mean and deviation are taken from

Progress = Callable[[int, int], None]
Autocast = Callable[[], AbstractContextManager[object]]


@runtime_checkable
class Labelled(Protocol):
    """A collection that can show its images before anything is asked."""

    sources: Sequence[str]

    sentence_lists: float

    def __len__(self) -> int: ...

    def labelled(self, index: int, variant: int = 0) -> LabelledImage:
        """Image `index` with its objects."""
        ...


class Describer:
    """Make the descriptions of images, or read those of an earlier run.

    Parameters
    ----------
    model : PSALM
        With a generator that drafts its masks from the image alone; encoder, generator and projector are frozen.
    folder : path
        Of cached features.
    autocast : callable
        Context of the forward pass.
    thin : bool
        See `DescribedSamples`.

    Raises
    ------
    ConfigError
        When the model drafts no masks, or its encoder or projector is in training.
    """

    def __init__(self, model: PSALM, folder: Path | str, autocast: Autocast, thin: bool = False) -> None:
        if not isinstance(model.mask_generator, TwoWayGenerator):
            raise ConfigError(f"described needs the two_way generator, not {model.config.mask_generator}.")
        if any(parameter.requires_grad for parameter in model.projector.parameters()):
            raise ConfigError("A described stage cannot train the projector: leave it out of train.")
        self.model = model
        self.standardise = model.mask_generator.standardise
        self._cache = FeatureCache(folder, model)
        self._transform = ImageTransform(model.config)
        self._folder = self._cache.folder / f"described-{_weights_hash(model.projector)}"
        self._folder.mkdir(exist_ok=True)
        self._autocast, self._thin = autocast, thin

    def __call__(self, samples: Samples[Any], progress: Progress | None = None) -> DescribedSamples:
        """Describe every image of a collection.

        Raises
        ------
        ConfigError
            When the collection cannot show its images before anything is asked.
        """
        if not isinstance(samples, Labelled):
            raise ConfigError(f"{type(samples).__name__} cannot be described: leave it to stages that see pixels.")
        paths = []
        with evaluating(self.model):
            for index in range(len(samples)):
                if progress:
                    progress(index, len(samples))
                paths.append(self._described(samples.labelled(index)))
        # Read at the end: small records between the large tensors of the encoder would keep memory from being freed.
        images = [DescribedImage.load(path) for path in paths]
        if not self.standardise.measured:
            self._measure(images)
        return DescribedSamples(samples.sources, images, samples.sentence_lists, self._thin)

    def _described(self, labelled: LabelledImage) -> Path:
        """The file of an image, made now where it is not there or damaged."""
        digest = hashlib.sha256(labelled.key.encode()).hexdigest()
        path = self._folder / digest[:2] / f"{digest[:32]}.safetensors"
        try:
            with safe_open(path, framework="pt"):
                return path
        except (OSError, SafetensorError):
            self._describe(labelled).save(path)
        return path

    @torch.no_grad()
    def _describe(self, labelled: LabelledImage) -> DescribedImage:
        device = next(self.model.parameters()).device
        image = self._transform.image(labelled.image, device)[None]
        with self._autocast():
            features = self._cache.encode(image, [labelled.key], regions=False)
        drafts = {name: value[0].float().cpu() for name, value in features.generator.items()}
        real = int(drafts["description"].any(1).sum())
        masks = self._transform.masks(labelled.decode(range(len(labelled.things))))
        areas, shared, object_areas = overlaps(drafts["masks"][:real] - 0.5, masks)
        return DescribedImage(
            labelled,
            drafts["description"][:real].half(),
            drafts["quality"][:real],
            areas,
            shared.half(),
            object_areas,
            features.image_tokens[0].half().cpu(),
        )

    def _measure(self, images: list[DescribedImage]) -> None:
        rows = torch.cat([image.description for image in images]).float()
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:_MEASURED]
        self.standardise.measure(rows[chosen])


def _weights_hash(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = module.state_dict()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
