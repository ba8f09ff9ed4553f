"""How many images fit into one pass of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from psalm.conditions import Condition
    from psalm.predictor import PSALMPredictor

LARGEST = 32
# Other programs use the device too, and images differ.
_SHARE = 0.7


def choose_batch_size(predictor: PSALMPredictor, conditions: list[Condition]) -> int:
    """The largest batch, a power of two, that the memory of the model's device allows.

    On a CPU it is 1: more images per pass only take more memory there (``benchmarks/prelabel.py --batches`` measures
    it). On a GPU, passes over one and over two images are measured. Apple's MPS tells too little to measure, so it
    gets 1.

    Parameters
    ----------
    predictor : PSALMPredictor
    conditions : list of Condition
        What will be asked.
    """
    if not str(predictor.device).startswith("cuda"):
        return 1
    import torch

    image = predictor.prepare(np.full((predictor.config.image_size,) * 2, 128, dtype=np.uint8))

    def peak(count: int) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(predictor.device)
        predictor.predict_each([image] * count, conditions)
        return int(torch.cuda.max_memory_allocated(predictor.device))

    free = torch.cuda.mem_get_info(predictor.device)[0]
    return largest_batch(free, torch.cuda.memory_allocated(predictor.device), peak)


def largest_batch(free: int, held: int, peak: Callable[[int], int]) -> int:
    """The largest power of two, at most `LARGEST`, whose pass fits.

    Parameters
    ----------
    free : int
        Bytes that nobody holds.
    held : int
        Bytes that the model itself holds.
    peak : callable
        The most bytes held during a pass over that many images, the model's own included.
    """
    one = peak(1)
    each = max(peak(2) - one, 1)
    room = _SHARE * free - (one - held - each)
    size = 1
    while size < LARGEST and 2 * size * each <= room:
        size *= 2
    return size
