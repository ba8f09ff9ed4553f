"""Images as descriptions of their drafts: what the language model learns from when all that sees pixels is frozen.

Where the mask generator drafts its masks from the image alone, a class list or a sentence is answered by the language
model from the drafts' descriptions. These are made once per image, with the overlap of every draft with every object;
from then on a question costs the language model and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from psalm.conditions import Condition, Task
from psalm.data.labelled import LabelledImage
from psalm.data.questions import Question, pose
from psalm.data.referring import Thing
from psalm.errors import ConfigError
from psalm.files import replacing

_NEAR = 0.3  # IoU with an object
_TENSORS = ("description", "quality", "areas", "shared", "object_areas", "image_tokens")


@dataclass(frozen=True)
class DescribedImage:
    """An image without its pixels.

    Parameters
    ----------
    labelled : LabelledImage
        Names, boxes and sentences; its pixels are blank and its masks cannot be made.
    description : (Q, F) tensor
    quality : (Q,) tensor
        Estimated IoU of each draft.
    areas, object_areas : (Q,), (N,) tensors
        Pixels of each draft and each object, at the size of the drafts.
    shared : (Q, N) tensor
        Pixels that a draft shares with an object.
    image_tokens : (T, D) tensor
        What the language model sees of the image; of a frozen projector.
    """

    labelled: LabelledImage
    description: Tensor
    quality: Tensor
    areas: Tensor
    shared: Tensor
    object_areas: Tensor
    image_tokens: Tensor

    def overlap(self, answers: Sequence[Sequence[int]]) -> Tensor:
        """IoU (Q, A) of every draft with every answer, each made of one or more objects."""
        if not answers:
            return self.shared.new_zeros((len(self.areas), 0), dtype=torch.float32)
        shared = torch.stack([self.shared[:, list(answer)].float().sum(1) for answer in answers], dim=1)
        whole = torch.stack([self.object_areas[list(answer)].sum() for answer in answers])
        return shared / (self.areas[:, None] + whole - shared).clamp(min=1e-6)

    def thinned(self, rng: np.random.Generator) -> DescribedImage:
        """The same with some of the drafts that show no object left out: most are background, and all cost time."""
        objects = self.shared.shape[1]
        near = torch.zeros(len(self.areas), dtype=torch.bool)
        if objects:
            near = self.overlap([(i,) for i in range(objects)]).amax(1) > _NEAR
        kept = near | torch.from_numpy(rng.random(len(near)) < rng.uniform(0.05, 0.6))
        kept[:2] = True
        drafts = {name: getattr(self, name)[kept] for name in ("description", "quality", "areas", "shared")}
        return replace(self, **drafts)

    def save(self, path: Path) -> None:
        """Write the record as one safetensors file."""
        tensors = {name: getattr(self, name).contiguous() for name in _TENSORS}
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"labelled": json.dumps(plain_labelled(self.labelled))})

    @classmethod
    def load(cls, path: Path) -> DescribedImage:
        """Read what `save` wrote."""
        with safe_open(path, framework="pt") as file:
            labelled = read_labelled(json.loads(file.metadata()["labelled"]))
            return cls(labelled, **{name: file.get_tensor(name) for name in _TENSORS})


@dataclass(frozen=True)
class DescribedQuestion:
    """A question in words about a described image."""

    image: DescribedImage
    question: Question

    @property
    def task(self) -> Task:
        """The task of the question."""
        return self.question.task

    @property
    def condition(self) -> Condition:
        """What is asked."""
        return self.question.condition


class DescribedSamples:
    """Questions in words about described images; takes the place of the samples it was made from.

    Parameters
    ----------
    sources : sequence of str
        The source of each image.
    images : sequence of DescribedImage
        Of each image as many variants as of every other, one after another.
    sentence_lists : float
        See `psalm.data.questions.ask`.
    thin : bool
        Leave out a part of the drafts that show no object, another one for each image.
    """

    def __init__(
        self, sources: Sequence[str], images: Sequence[DescribedImage], sentence_lists: float, thin: bool = False
    ) -> None:
        self.sources = list(sources)
        self.images = list(images)
        self._variants = len(self.images) // max(1, len(self.sources))
        self._sentence_lists, self._thin = sentence_lists, thin

    def __len__(self) -> int:
        return len(self.sources)

    def sample(
        self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0
    ) -> DescribedQuestion:
        """A question about a variant of image `index`."""
        image = self.images[index * self._variants + variant % self._variants]
        question = pose(image.labelled, rng, task or Task.INSTANCE, self._sentence_lists)
        return DescribedQuestion(image.thinned(rng) if self._thin else image, question)


def plain_labelled(labelled: LabelledImage) -> dict[str, Any]:
    """A labelled image without its pixels and masks, as JSON writes it; colours are found here."""
    return {
        "shape": labelled.shape,
        "things": [asdict(thing) for thing in labelled.things],
        "absent": labelled.absent,
        "stuff": sorted(labelled.stuff),
        "exhaustive": labelled.exhaustive,
        "incomplete": sorted(labelled.incomplete),
        "source": labelled.source,
        "key": labelled.key,
        "expressions": labelled.expressions,
        "rivals": labelled.rivals,
        "unchecked": labelled.unchecked,
        "colours": [thing.colour for thing in labelled.coloured],
    }


def read_labelled(plain: dict[str, Any]) -> LabelledImage:
    """What `plain_labelled` gave, as an image that is blank and has no masks."""
    return LabelledImage(
        np.broadcast_to(np.uint8(0), (*plain["shape"], 3)),
        tuple(Thing(thing["name"], tuple(thing["box"]), thing["area"], thing["colour"]) for thing in plain["things"]),
        _no_masks,
        tuple(plain["absent"]),
        frozenset(plain["stuff"]),
        plain["exhaustive"],
        frozenset(plain["incomplete"]),
        plain["source"],
        plain["key"],
        tuple((text, tuple(positions)) for text, positions in plain["expressions"]),
        tuple(plain.get("rivals", ())),
        tuple(plain.get("unchecked", ())),
        tuple(plain["colours"]),
    )


def _no_masks(_: Sequence[int]) -> Any:
    raise ConfigError("A described image has no masks: ask it questions in words only.")
