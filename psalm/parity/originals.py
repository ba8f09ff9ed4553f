"""All query masks of one image at its original size, and which of their pixels are too close to call."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from psalm.decoding.query_masks import QueryMasks
from psalm.parity.findings import STAGE_TOLERANCE


class Originals:
    """The queries of one image.

    Parameters
    ----------
    masks : QueryMasks

    Attributes
    ----------
    logits : (Q, H, W) tensor
    """

    def __init__(self, masks: QueryMasks) -> None:
        self.masks = masks
        self.logits = torch.stack([masks.logits(query) for query in range(len(masks))])
        self._inside = (self.logits > 0).flatten(1).numpy()

    @property
    def near(self) -> NDArray[np.bool_]:
        """(H, W): pixels where any query's logit is too close to its threshold."""
        return (self.logits.abs() < STAGE_TOLERANCE).any(dim=0).numpy()

    def differing(self, ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> int:
        """Pixels in which two masks of one query differ, unless its logit is too close to the threshold there."""
        different = ours != theirs
        if not different.any():
            return 0
        query = int((self._inside != theirs.reshape(1, -1)).sum(axis=1).argmin())
        return int((different & (self.logits[query].abs() >= STAGE_TOLERANCE).numpy()).sum())


def unpack(packed: Tensor, width: int) -> NDArray[np.bool_]:
    """Masks (..., H, W) whose rows were packed into bits."""
    return np.unpackbits(packed.numpy(), axis=-1)[..., :width].astype(bool)


def tied(values: Any) -> NDArray[np.bool_]:
    """(H, W): pixels where the two largest of the maps (N, H, W) are too close to call."""
    maps = torch.as_tensor(values)
    if len(maps) < 2:
        return np.zeros(tuple(maps.shape[1:]), dtype=bool)
    first, second = maps.topk(2, dim=0).values
    return (first - second < STAGE_TOLERANCE).numpy()
