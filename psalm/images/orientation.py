"""The eight ways in which a camera may have been held."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

TAG = 0x0112  # of EXIF and TIFF


def turn(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an orientation, 1 to 8, to an (H, W) or (H, W, C) image: first transposed, then mirrored."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
