"""Describe the images of a collection once, for stages that train the language model alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from psalm.data.labelled import LabelledImage
from psalm.data.mixture import Samples
from psalm.errors import ConfigError
from psalm.image_transform import ImageTransform
from psalm.modeling.features import ImageFeatures
from psalm.modeling.psalm import PSALM
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.training.described import DescribedImage, DescribedSamples, plain_labelled, read_labelled
from psalm.training.feature_cache import FeatureCache
from psalm.training.frozen import evaluating
from psalm.training.stream import calm
from psalm.training.targets import coarse, overlaps

_MEASURED = 20_000  # descriptions that mean and deviation are taken from
_DRAFT_STRIDE = 4
_AT_ONCE = 16  # images that a GPU encodes together

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
    workers : int
        Processes that read images and labels ahead; 0 does it in between.
    accelerator : accelerate.Accelerator, optional
        Where several processes train, each describes its share of the images first.
    variants : sequence of int
        Numbers of the copies of each image that are described; 0 is the unchanged one.

    Raises
    ------
    ConfigError
        When the model drafts no masks, or its encoder or projector is in training.
    """

    def __init__(
        self,
        model: PSALM,
        folder: Path | str,
        autocast: Autocast,
        thin: bool = False,
        workers: int = 0,
        accelerator: Accelerator | None = None,
        variants: Sequence[int] = (0,),
    ) -> None:
        if not isinstance(model.mask_generator, TwoWayGenerator):
            raise ConfigError(f"described needs the two_way generator, not {model.config.mask_generator}.")
        if any(parameter.requires_grad for parameter in model.projector.parameters()):
            raise ConfigError("A described stage cannot train the projector: leave it out of train.")
        self.model = model
        self.generator = model.mask_generator
        self.device = next(model.parameters()).device
        self._cache = FeatureCache(folder, model)
        self._folder = self._cache.folder / f"described-{_weights_hash(model.projector)}"
        self._folder.mkdir(exist_ok=True)
        self._autocast, self._thin, self._workers, self._variants = autocast, thin, workers, variants
        self._accelerator = accelerator if accelerator and accelerator.num_processes > 1 else None

    def __call__(self, samples: Samples[Any], progress: Progress | None = None) -> DescribedSamples:
        """Describe every image of a collection.

        Raises
        ------
        ConfigError
            When the collection cannot show its images before anything is asked.
        """
        if not isinstance(samples, Labelled):
            raise ConfigError(f"{type(samples).__name__} cannot be described: leave it to stages that see pixels.")
        total = len(samples) * len(self._variants)
        if self._accelerator:
            share = range(self._accelerator.process_index, total, self._accelerator.num_processes)
            self._describe_all(samples, share, progress)
            self._accelerator.wait_for_everyone()
        paths = self._describe_all(samples, range(total), progress)
        # Read at the end: small records between the large tensors of the encoder would keep memory from being freed.
        images = [DescribedImage.load(path) for path in paths]
        if not self.generator.standardise.measured:
            self._measure(images)
        return DescribedSamples(samples.sources, images, samples.sentence_lists, self._thin)

    def _describe_all(self, samples: Labelled, which: range, progress: Progress | None) -> list[Path]:
        """Where the descriptions of some images are; those that are missing are made."""
        paths: list[Path] = []
        with evaluating(self.model):
            for batch in self._read_ahead(samples, which):
                if progress:
                    progress(len(paths), len(which))
                self._describe([one for one in batch if isinstance(one, _Undescribed)])
                paths += [one.path if isinstance(one, _Undescribed) else one for one in batch]
        return paths

    def _read_ahead(self, samples: Labelled, which: range) -> Iterator[list[_Undescribed | Path]]:
        """Some images in order, a few at a time."""
        reading = _Reading(samples, self._variants, ImageTransform(self.model.config), self._folder)
        images = Subset(reading, which)
        at_once = 1 if self.device.type == "cpu" else _AT_ONCE
        return iter(DataLoader(images, at_once, num_workers=self._workers, collate_fn=list, worker_init_fn=calm))

    @torch.no_grad()
    def _describe(self, batch: Sequence[_Undescribed]) -> None:
        """Write the descriptions of some images."""
        if not batch:
            return
        with self._autocast():
            features = self._encode(batch)
        for i, one in enumerate(batch):
            kept = features.generator
            real = kept["description"][i].any(1)
            masks = (kept["masks"][i][real] > 0).float() - 0.5  # kept masks are booleans, fresh ones logits
            areas, shared, object_areas = overlaps(masks, one.truth.to(self.device))
            record = DescribedImage(
                read_labelled(one.labelled),
                kept["description"][i][real].half().cpu(),
                kept["quality"][i][real].float().cpu(),
                areas.cpu(),
                shared.half().cpu(),
                object_areas.cpu(),
                features.image_tokens[i].half().cpu(),
            )
            record.save(one.path)

    def _encode(self, batch: Sequence[_Undescribed]) -> ImageFeatures:
        """Features with their drafts; on a processor, the encoder's part may lie in the cache."""
        pixels = torch.stack([one.pixels for one in batch]).to(self.device)
        if self.device.type != "cpu":  # which prepares anew for every number of images, longer than it needs for them
            pixels = F.pad(pixels, (0, 0, 0, 0, 0, 0, 0, _AT_ONCE - len(batch)))
        else:
            return self._cache.encode(pixels, [one.labelled["key"] for one in batch], regions=False)
        features = self.model.encode_image(pixels)
        self.generator.seed_proposals(features)
        return features

    def _measure(self, images: list[DescribedImage]) -> None:
        rows = torch.cat([image.description for image in images]).float()
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:_MEASURED]
        self.generator.standardise.measure(rows[chosen].to(self.device))


@dataclass(frozen=True)
class _Undescribed:
    """An image that has no description yet.

    Parameters
    ----------
    path : Path
        Where its description goes.
    labelled : dict
        As `plain_labelled` gives it.
    pixels : (3, S, S) tensor
        The model image.
    truth : (N, h, w) tensor
        Its objects at the size of the drafts.
    """

    path: Path
    labelled: dict[str, Any]
    pixels: Tensor
    truth: Tensor


class _Reading(Dataset["_Undescribed | Path"]):
    """The variants of each image of a collection; of those that were described before, the path of the description."""

    def __init__(self, samples: Labelled, variants: Sequence[int], transform: ImageTransform, folder: Path) -> None:
        self._samples, self._variants, self._transform, self._folder = samples, variants, transform, folder
        side = transform.config.image_size // _DRAFT_STRIDE
        self._size = (side, side)

    def __len__(self) -> int:
        return len(self._samples) * len(self._variants)

    def __getitem__(self, index: int) -> _Undescribed | Path:
        image, which = divmod(index, len(self._variants))
        labelled = self._samples.labelled(image, self._variants[which])
        digest = hashlib.sha256(labelled.key.encode()).hexdigest()
        path = self._folder / digest[:2] / f"{digest[:32]}.safetensors"
        try:
            with safe_open(path, framework="pt"):
                return path
        except (OSError, SafetensorError):  # not there, or damaged
            masks = self._transform.masks(labelled.decode(range(len(labelled.things))))
            pixels = self._transform.image(labelled.image)
            return _Undescribed(path, plain_labelled(labelled), pixels, coarse(masks, self._size).half())


def _weights_hash(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = module.state_dict()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
