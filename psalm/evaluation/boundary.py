"""Region similarity J and contour accuracy F of video objects, as DAVIS defines them (Perazzi et al., 2016)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

_TOLERANCE = 0.008  # of the image's diagonal

Mask = NDArray[np.bool_]


def region_similarity(answer: Mask, truth: Mask) -> float:
    """J: intersection over union of two masks (H, W); 1 when both are empty."""
    union = int(np.count_nonzero(answer | truth))
    return int(np.count_nonzero(answer & truth)) / union if union else 1.0


def contour_accuracy(answer: Mask, truth: Mask) -> float:
    """F: harmonic mean of precision and recall of the contour pixels.

    A pixel of one contour is right when the other contour is at most 0.8 % of the diagonal away, rounded up to pixels.
    Where one contour is empty, F is 0; where both are, 1.

    Parameters
    ----------
    answer, truth : (H, W) array of bool
    """
    found, wanted = contour(answer), contour(truth)
    if not found.any() or not wanted.any():
        return float(found.any() == wanted.any())
    reach = math.ceil(_TOLERANCE * math.hypot(*truth.shape))
    precision = float((distance_transform_edt(~wanted)[found] <= reach).mean())
    recall = float((distance_transform_edt(~found)[wanted] <= reach).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def contour(mask: Mask) -> Mask:
    """Pixels (H, W) unlike the pixel to the right, below, or between these two; the image's end is no contour."""
    edge = np.zeros_like(mask)
    edge[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edge[:-1] |= mask[:-1] ^ mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    edge[-1, -1] = False
    return edge
