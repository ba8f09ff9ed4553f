"""Objects through a video, by the published rules: each object keeps its own query, and good masks become the memory.

The model has no notion of time. The regions of the next frame are the masks of the last frame in which the objects were
told apart; `PSALM.propose` takes the features of that frame as its ``reference``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from psalm.decoding.query_masks import QueryMasks

MOST_OVERLAP = 0.4


def region_scores(masks: QueryMasks, logits: Tensor) -> Tensor:
    """How well each query shows each region, (Q, R): relevance times mask score.

    Parameters
    ----------
    masks : QueryMasks
    logits : (Q, R) tensor
    """
    quality = logits.new_tensor([masks.score(query) for query in range(len(masks))])
    return logits.sigmoid() * quality[:, None]


def distinct_queries(scores: Tensor) -> list[int]:
    """The best query of each region, in turn, that no earlier region has taken.

    Parameters
    ----------
    scores : (Q, R) tensor
        With Q >= R.
    """
    taken: list[int] = []
    for relevance in scores.unbind(dim=1):
        order = relevance.argsort(descending=True, stable=True).tolist()
        taken.append(next((query for query in order if query not in taken), order[0]))
    return taken


def fuse_objects(masks: NDArray[np.bool_], numbers: Sequence[int]) -> NDArray[np.int64]:
    """One label map (H, W) from the masks (N, H, W) of numbered objects; where they overlap the later one is seen."""
    fused = np.zeros(masks.shape[1:], dtype=np.int64)
    for mask, number in zip(masks, numbers, strict=True):
        fused[mask] = number
    return fused


def largest_overlap(masks: NDArray[np.bool_]) -> float:
    """The largest IoU of any two of the masks (N, H, W); 0 for a single one."""
    largest = 0.0
    for i, one in enumerate(masks):
        for other in masks[:i]:
            union = int((one | other).sum())
            largest = max(largest, int((one & other).sum()) / union if union else 0.0)
    return largest


def may_be_remembered(masks: NDArray[np.bool_]) -> bool:
    """Whether the masks tell the objects apart well enough to be the regions of the next frame."""
    return largest_overlap(masks) <= MOST_OVERLAP
