"""One training or validation question: an image, what is asked of it, and the masks that answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psalm.conditions import Condition, Task


@dataclass(frozen=True)
class Sample:
    """An image with one condition and its answer.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        RGB.
    task : Task
    condition : Condition
    masks : (N, H, W) array of bool
        Ground truth.
    labels : (N,) array of int
        Which part of the condition each mask answers: the position of its name in the class list, 0 for a sentence, the
        position of its region.
    exhaustive : bool
        False when further objects of the listed names may be in the image, so that an unmatched proposal is no
        evidence of background.
    source : str
        Where the image comes from, for sampling and for figures per source.
    key : str
        Names the pixels of `image`: equal keys have equal images (features may be cached under it). Empty: no caching.
    """

    image: NDArray[np.uint8]
    task: Task
    condition: Condition
    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    exhaustive: bool = True
    source: str = ""
    key: str = ""
