"""One answer of the model, kept so that its objects can be decided anew without the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.exclusions import Exclusions, find_exclusions, weigh
from napari_psalm.core.kept_masks import KeptMasks, to_array
from napari_psalm.core.patches import Patch
from psalm.conditions import CategoryCondition, Condition, Task, VisualPriorCondition
from psalm.image_transform import Frame, ImageTransform

if TYPE_CHECKING:
    from psalm.proposals import MaskProposals


@dataclass(frozen=True)
class AreaMap:
    """The best name of each pixel (H, W), and the evidence for it (H, W)."""

    winner: NDArray[np.int32]
    evidence: NDArray[np.float32]


@dataclass(frozen=True)
class Kept:
    """Proposals of one image and how well they meet the condition.

    Parameters
    ----------
    task : Task
    names : tuple of str
        One per part of the condition: the names of a class list; the sentence or the regions have none ("").
    is_thing : tuple of bool
        One per part.
    masks : KeptMasks
        Of Q proposals.
    relevance : (Q, K) array of float
        How well each proposal meets each part, 0 to 1.
    quality : (Q,) array of float, optional
        The model's estimate of each mask's IoU.
    inside, top_k : float and int, optional
        See `psalm.decoding.Thresholds`.
    areas : AreaMap, optional
        For semantic.
    exclusions : Exclusions
        What must not belong to an object.
    """

    task: Task
    names: tuple[str, ...]
    is_thing: tuple[bool, ...]
    masks: KeptMasks
    relevance: NDArray[np.float32]
    quality: NDArray[np.float32] | None = None
    inside: float | None = None
    top_k: int | None = None
    areas: AreaMap | None = None
    exclusions: Exclusions = field(default_factory=Exclusions)
    _patches: dict[int, tuple[float, Patch | None]] = field(default_factory=dict, repr=False)
    _means: dict[tuple[int, int], float] = field(default_factory=dict, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of what was looked at."""
        return self.masks.shape

    def patch(self, query: int, probability: float) -> Patch | None:
        """The mask of a proposal where it is more probable than this; None when it is empty."""
        kept = self._patches.get(query)
        if kept is None or kept[0] != probability:
            crop = self.masks.crop(query)
            mask = None if crop is None else crop.at_least(probability)
            patch = Patch(crop.row, crop.column, mask) if crop is not None and mask is not None and mask.any() else None
            kept = self._patches[query] = (probability, patch)
        return kept[1]

    def mask_score(self, query: int, patch: Patch) -> float:
        """How good a mask is: its quality, or else its mean probability."""
        if self.quality is not None:
            return float(self.quality[query])
        key = query, patch.area
        if key not in self._means:
            self._means[key] = self.masks.mean_probability(query, patch.mask)
        return self._means[key]

    def bounds(self, part: int) -> NDArray[np.float32]:
        """What the score of each proposal for a part can be at most, (Q,)."""
        relevance = self.relevance[:, part]
        return relevance if self.quality is None else np.asarray(relevance * self.quality, dtype=np.float32)

    def best(self, part: int, probability: float) -> tuple[int, float]:
        """The proposal with the best score for a part, and that score; the search ends where none can be better.

        A sentence gets the most relevant mask where the generator judges its masks, as in `psalm.decoding.referring`.
        """
        if self.quality is not None and self.task in (Task.REFERRING, Task.GENERALISED_REFERRING):
            return self._most_relevant(part, probability)
        bounds, best, best_score = self.bounds(part), -1, -1.0
        for query in np.argsort(-bounds, kind="stable").tolist():
            if float(bounds[query]) <= best_score:
                break
            patch = self.patch(query, probability)
            score = 0.0 if patch is None else float(self.relevance[query, part]) * self.mask_score(query, patch)
            if score > best_score:
                best, best_score = query, score
        return best, best_score

    def _most_relevant(self, part: int, probability: float) -> tuple[int, float]:
        relevance = self.relevance[:, part]
        for query in np.argsort(-relevance, kind="stable").tolist():
            patch = self.patch(query, probability)
            if patch is not None:
                return query, float(relevance[query]) * self.mask_score(query, patch)
        return -1, -1.0


def keep(
    proposals: MaskProposals,
    condition: Condition,
    task: Task,
    shape: tuple[int, int],
    predictor: Any,
    exclusions: NDArray[np.bool_] | None = None,
) -> Kept:
    """Keep what a model proposed.

    Parameters
    ----------
    proposals : MaskProposals
        A batch of one. The exclusions of a visual prior may have been asked for after its regions.
    condition : Condition
        What was asked, without exclusions.
    task : Task
    shape : (height, width)
        Of the image that was set.
    predictor : PSALMPredictor
        Gives its config and its thresholds.
    exclusions : (E, H, W) array of bool, optional
        What must not belong to an object.
    """
    frame = ImageTransform(predictor.config).frame(shape)
    masks = KeptMasks(to_array(proposals.mask_logits[0]), frame)
    logits = to_array(proposals.condition_logits[0])[:, : proposals.num_conditions[0]]
    is_list = isinstance(condition, CategoryCondition)
    relevance = _softmax(logits)[:, :-1] if is_list else _sigmoid(logits)
    asked, rest = relevance[:, : len(condition)], relevance[:, len(condition) :]
    regions = condition.masks if isinstance(condition, VisualPriorCondition) else None
    found = find_exclusions(masks, exclusions, rest, regions)
    limits = predictor.thresholds
    return Kept(
        task,
        condition.names if isinstance(condition, CategoryCondition) else ("",) * len(condition),
        condition.is_thing if isinstance(condition, CategoryCondition) else (True,) * len(condition),
        masks,
        weigh(asked, found),
        None if proposals.quality is None else to_array(proposals.quality[0]),
        limits.inside,
        limits.top_k,
        _areas(proposals, frame) if task is Task.SEMANTIC else None,
        found,
    )


def _areas(proposals: MaskProposals, frame: Frame) -> AreaMap:
    """As `psalm.decoding.semantic` finds them."""
    import torch

    from psalm.decoding.query_masks import QueryMasks
    from psalm.decoding.semantic import category_evidence

    quality = None if proposals.quality is None else proposals.quality[0]
    masks = QueryMasks(proposals.mask_logits[0], frame, quality)
    with torch.inference_mode():
        logits = proposals.condition_logits[0, :, : proposals.num_conditions[0]].float()
        evidence = category_evidence(masks, logits)
        best = torch.full(frame.original, -1.0, device=evidence.device)
        winner = torch.full(frame.original, -1, device=evidence.device, dtype=torch.int32)
        for i in range(len(evidence)):
            values = masks.to_original(evidence[i : i + 1])[0]
            wins = values > best
            best[wins] = values[wins]
            winner[wins] = i
    return AreaMap(winner.cpu().numpy(), to_array(best))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=np.float32)
