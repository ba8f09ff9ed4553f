"""How a model looks for remembered objects in a frame: one way for each mask generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from psalm.appearance import Appearance, describe, evidence
from psalm.conditions import RegionKind, Task, VisualPriorCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.video import distinct_queries, region_scores
from psalm.encoded import EncodedImage, remembered
from psalm.errors import ConditionError
from psalm.modeling.features import Regions
from psalm.modeling.two_way_generator import TwoWayGenerator

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

Masks = Mapping[int, NDArray[np.bool_]]

_GROW = 0.08  # of a box around the place where an object was, to each side
_SAME = 0.5  # two masks that overlap more show one object
_USUAL = 0.7  # overlap with its last place that an object is granted when its score is told: moving is no fault


@dataclass(frozen=True)
class Sight:
    """The best mask for an object in a frame.

    Parameters
    ----------
    mask : (H, W) array of bool
    score : float
        How surely it shows the object, 0 to 1.
    """

    mask: NDArray[np.bool_]
    score: float


class Follower(Protocol):
    """Remembers what objects look like, and looks for them in other frames."""

    def open(self, frame: ArrayLike) -> tuple[int, int]:
        """Take up a frame, and let go of the one before; returns its (height, width)."""

    def remember(self, masks: Masks) -> None:
        """Take the masks (H, W) of some objects in the open frame as what they look like from now on."""

    def locate(self, masks: Masks) -> None:
        """Where objects were last seen, whether or not they are to be remembered so."""

    def look(self, ids: Sequence[int]) -> dict[int, Sight]:
        """The best mask in the open frame for each remembered object; an object without one is left out."""


def follower_for(predictor: PSALMPredictor) -> Follower:
    """The way that fits a model's mask generator."""
    if predictor.config.mask_generator == "two_way":
        return DraftFollower(predictor)
    return PublishedFollower(predictor)


class _Opener:
    """Holds the features of one frame."""

    def __init__(self, predictor: PSALMPredictor) -> None:
        self._predictor = predictor
        self._image: EncodedImage | None = None

    def open(self, frame: ArrayLike) -> tuple[int, int]:
        """Encode a frame."""
        self._image = None  # two frames' features are never in memory together
        self._image = EncodedImage.of(self._predictor, frame)
        return self._image.frame.original

    @property
    def _open(self) -> EncodedImage:
        if self._image is None:
            raise ConditionError("No frame is open: open one first.")
        return self._image


class PublishedFollower(_Opener):
    """The published way: region embeddings come from the remembered frame, all else from the frame that is asked.

    Of the remembered frame only the embeddings are kept.
    """

    def __init__(self, predictor: PSALMPredictor) -> None:
        super().__init__(predictor)
        self._model, self._prompts = predictor.model, predictor.prompts
        self._memory: dict[int, Tensor] = {}

    def remember(self, masks: Masks) -> None:
        """Pool the regions' embeddings."""
        regions = _regions(self._open, np.stack(list(masks.values())), "mask")
        with torch.inference_mode():
            vectors = self._model.pool_regions(self._open.features, [regions])[0]
        self._memory.update(zip(masks, vectors, strict=True))

    def locate(self, masks: Masks) -> None:
        """The published model does not mind where an object was."""

    def look(self, ids: Sequence[int]) -> dict[int, Sight]:
        """Each object in turn takes its best query that no earlier one has taken."""
        image = self._open
        vectors = torch.stack([self._memory[i] for i in ids])
        reference, regions = remembered(vectors, image.frame.size)
        prompt = self._prompts.build(Task.INTERACTIVE, VisualPriorCondition(np.ones((len(ids), 1, 1), dtype=bool)))
        with torch.inference_mode():
            found = self._model.propose(image.features, [prompt], [regions], reference=reference)[-1]
            masks = QueryMasks(found.mask_logits[0], image.frame)
            scores = region_scores(masks, found.condition_logits[0].float())
            queries = distinct_queries(scores)
            return {
                i: Sight(masks.mask(query).cpu().numpy(), float(scores[query, r]))
                for r, (i, query) in enumerate(zip(ids, queries, strict=True))
            }


@dataclass
class _Memory:
    """What is known of one object: its first look and its last trusted one, and where it was."""

    first: Appearance
    last: Appearance
    place: NDArray[np.bool_]
    missed: int = 0


@dataclass(frozen=True)
class Candidates:
    """Drafts of a frame, and what speaks for their showing each of some remembered objects.

    Parameters
    ----------
    logits : (Q, h, w) tensor
        Of the masks, on the padded model image.
    evidence : (R, Q, 12) tensor
        For each object, as `psalm.appearance.evidence` gives it.
    """

    logits: Tensor
    evidence: Tensor


class DraftFollower(_Opener):
    """The way of the small model: among drafts at the object's last place and all over the frame, the most alike."""

    def __init__(self, predictor: PSALMPredictor) -> None:
        super().__init__(predictor)
        generator = predictor.model.mask_generator
        if not isinstance(generator, TwoWayGenerator):
            raise ConditionError(
                f"{predictor.config.name} drafts no masks before it is asked, so there is nothing to compare: "
                "take a small model."
            )
        self._generator, self.sameness = generator, generator.sameness
        self._memory: dict[int, _Memory] = {}

    def remember(self, masks: Masks) -> None:
        """Describe the masks; the first description of an object is kept for good."""
        image = self._open
        with torch.inference_mode():
            on_model = image.masks(np.stack(list(masks.values())))
            looks = describe(image.features, on_model, image.scale(on_model.shape[-1]))
        for k, (i, mask) in enumerate(masks.items()):
            look = looks.select([k])
            self._memory[i] = _Memory(self._memory[i].first if i in self._memory else look, look, mask)

    def locate(self, masks: Masks) -> None:
        """An empty mask says that the object was not seen."""
        for i, mask in masks.items():
            memory = self._memory[i]
            memory.missed = 0 if mask.any() else memory.missed + 1
            memory.place = mask if mask.any() else memory.place

    def look(self, ids: Sequence[int]) -> dict[int, Sight]:
        """Pairs of object and draft, the best first; drafts of the same thing serve one object."""
        image, found = self._open, self.candidates(ids)
        with torch.inference_mode():
            masks = QueryMasks(found.logits, image.frame)
            scores = self.sameness(_where_it_was(found.evidence)).sigmoid()
            chosen = _distinct(self.sameness(found.evidence), found.logits > 0)
            return {
                i: Sight(masks.mask(query).cpu().numpy(), float(scores[r, query]))
                for r, i in enumerate(ids)
                if (query := chosen.get(r)) is not None
            }

    def candidates(self, ids: Sequence[int]) -> Candidates:
        """The drafts of the open frame among which `look` chooses for some remembered objects."""
        image = self._open
        with torch.inference_mode():
            logits, quality = self._drafts(image, ids)
            drafts = logits > 0
            found = describe(image.features, drafts, image.scale(drafts.shape[-1]))
            told = [
                evidence(memory.first, memory.last, found, quality, self._near(memory, drafts))
                for memory in map(self._memory.__getitem__, ids)
            ]
            return Candidates(logits, torch.stack(told))

    def overlap(self, drafts: Tensor, mask: NDArray[np.bool_]) -> Tensor:
        """IoU (Q,) of drafts (Q, h, w) with a mask (H, W) of the open frame."""
        place = torch.nn.functional.adaptive_avg_pool2d(self._open.masks(mask[None]).float(), drafts.shape[-1])[0] > 0.5
        shared, both = (drafts & place).flatten(1).sum(1), (drafts | place).flatten(1).sum(1)
        return shared / both.clamp(min=1)

    def _drafts(self, image: EncodedImage, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Logits (Q, h, w) and quality (Q,) of drafts around the objects' last places, and around the seeds."""
        boxes = np.stack([_box_around(self._memory[i].place) for i in ids])
        around = self._generator.draft(image.features, [_regions(image, boxes, "box")]).state
        seeds = self._generator.draft(image.features, None).state
        logits, quality = (torch.cat([around[name][0], seeds[name][0]]).float() for name in ("masks", "quality"))
        kept = (logits > 0).flatten(1).any(dim=1)
        return logits[kept], quality[kept]

    def _near(self, memory: _Memory, drafts: Tensor) -> Tensor:
        """IoU (Q,) of drafts with the place where the object was; it counts less the longer that is ago."""
        return 0.5**memory.missed * self.overlap(drafts, memory.place)


def _where_it_was(told: Tensor) -> Tensor:
    """Evidence (..., 12) as if every draft overlapped the object's last place as it usually does."""
    return torch.cat([told[..., :-1], torch.full_like(told[..., -1:], _USUAL)], dim=-1)


def _distinct(scores: Tensor, drafts: Tensor) -> dict[int, int]:
    """A draft for each object (row of scores (R, Q)), best pairs first, none that shows what another object took."""
    free = torch.ones_like(scores, dtype=torch.bool)
    chosen: dict[int, int] = {}
    while len(chosen) < len(scores):
        open_scores = scores.masked_fill(~free, -torch.inf)
        best = int(open_scores.argmax())
        row, query = divmod(best, scores.shape[1])
        if not torch.isfinite(open_scores[row, query]):
            break
        chosen[row] = query
        shared = (drafts & drafts[query]).flatten(1).sum(1)
        both = (drafts | drafts[query]).flatten(1).sum(1)
        free[:, shared > _SAME * both] = False
        free[row] = False
    return chosen


def _regions(image: EncodedImage, masks: NDArray[np.bool_], kind: RegionKind) -> Regions:
    kinds: tuple[RegionKind, ...] = (kind,) * len(masks)
    return Regions(image.masks(masks), kinds)


def _box_around(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    grow = round(_GROW * len(rows)), round(_GROW * len(columns))
    box = np.zeros_like(mask)
    low = max(rows[0] - grow[0], 0), max(columns[0] - grow[1], 0)
    box[low[0] : rows[-1] + 1 + grow[0], low[1] : columns[-1] + 1 + grow[1]] = True
    return box
