"""What must not belong to an object: proposals are weighed and cut, also where the model was told of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.kept_masks import KeptMasks
from napari_psalm.core.patches import Patch

_PUSHED_DOWN = 0.1  # of the score of a proposal that covers an exclusion
_LIMIT = 0.5  # share of a prompt's pixels


@dataclass(frozen=True)
class Exclusions:
    """Regions of the image that must not belong to an object.

    Parameters
    ----------
    drawn : tuple of Patch
        What the user drew, E of them.
    objects : tuple of Patch or None
        What the model finds at each; None where it was not asked.
    match : (Q, E) array of float
        How well each proposal matches each exclusion.
    regions : tuple of Patch
        The prompts of the question; an exclusion on a prompt does not count for it.
    """

    drawn: tuple[Patch, ...] = ()
    objects: tuple[Patch | None, ...] = ()
    match: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    regions: tuple[Patch, ...] = ()

    def of_part(self, part: int) -> list[int]:
        """The exclusions that count for a part of the question."""
        own = self.regions[part] if self.regions else None
        return [i for i, drawn in enumerate(self.drawn) if own is None or not drawn.shared(own)]

    def cut(self, patch: Patch, part: int) -> Patch | None:
        """A mask without what was drawn, and without the object found there unless that holds the prompt too."""
        mask = patch.mask.copy()
        for i in self.of_part(part):
            for taken in (self.drawn[i], self.objects[i]):
                if taken is None or (self.regions and _holds(taken, self.regions[part])):
                    continue
                mask[patch.inside(taken)] &= ~taken.mask[taken.inside(patch)]
        return replace(patch, mask=mask) if mask.any() else None


def find_exclusions(
    masks: KeptMasks,
    exclusions: NDArray[np.bool_] | None,
    relevance: NDArray[np.float32],
    regions: NDArray[np.bool_] | None,
) -> Exclusions:
    """Look up which proposals match what was excluded.

    Parameters
    ----------
    masks : KeptMasks
        Of Q proposals.
    exclusions : (E, H, W) array of bool, optional
    relevance : (Q, E) or (Q, 0) array of float
        How well each proposal meets each exclusion, where the model was asked.
    regions : (K, H, W) array of bool, optional
        The prompts of the question.
    """
    if exclusions is None or not len(exclusions):
        return Exclusions()
    drawn = tuple(Patch.from_mask(exclusion) for exclusion in exclusions)
    found = [_proposal(masks, query) for query in range(len(masks))]
    match = np.array(
        [[0.0 if patch is None else patch.shared(one) / one.area for one in drawn] for patch in found],
        dtype=np.float32,
    )
    objects: tuple[Patch | None, ...] = (None,) * len(drawn)
    if relevance.shape[1]:
        match = np.maximum(match, relevance)
        objects = tuple(found[int(column.argmax())] for column in relevance.T)
    prompts = () if regions is None else tuple(Patch.from_mask(region) for region in regions)
    return Exclusions(drawn, objects, match, prompts)


def weigh(relevance: NDArray[np.float32], exclusions: Exclusions) -> NDArray[np.float32]:
    """Relevance (Q, K), lower for proposals that match an exclusion."""
    if not exclusions.drawn:
        return relevance
    weighed = relevance.copy()
    for part in range(relevance.shape[1]):
        match = exclusions.match[:, exclusions.of_part(part)].max(axis=1, initial=0)
        weighed[:, part] *= 1 - (1 - _PUSHED_DOWN) * match
    return weighed


def _proposal(masks: KeptMasks, query: int) -> Patch | None:
    crop = masks.crop(query)
    return None if crop is None else Patch(crop.row, crop.column, crop.at_least(0.5))


def _holds(patch: Patch, prompt: Patch) -> bool:
    return patch.shared(prompt) > _LIMIT * prompt.area
