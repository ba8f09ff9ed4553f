"""An image with fewer pixels, by means over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_VALUES_AT_ONCE = 2**24


def block_means(pixels: NDArray[Any], step: int) -> NDArray[Any]:
    """Means over blocks of `step` by `step` pixels.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array
    step : int
        Side of a block; the last blocks may be smaller.

    Returns
    -------
    (ceil(H / step), ceil(W / step)) or (..., C) array
        Of the type of `pixels`.
    """
    rows, columns = (np.arange(0, length, step) for length in pixels.shape[:2])
    heights = np.diff(np.append(rows, pixels.shape[0]))
    widths = np.diff(np.append(columns, pixels.shape[1]))
    number = (heights[:, None] * widths).reshape(len(rows), len(columns), *[1] * (pixels.ndim - 2))
    at_once = max(1, _VALUES_AT_ONCE // max(step * int(np.prod(pixels.shape[1:])), 1))
    blocks = []
    for first in range(0, len(rows), at_once):
        # In parts, since floats of a whole large image would take four times its memory.
        part = pixels[first * step : (first + at_once) * step].astype(np.float32)
        sums = np.add.reduceat(np.add.reduceat(part, np.arange(0, len(part), step), axis=0), columns, axis=1)
        blocks.append(sums / number[first : first + at_once])
    means = np.concatenate(blocks)
    return means.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.rint(means).astype(pixels.dtype)
