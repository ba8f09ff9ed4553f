"""The pictures of COCO panoptic: the id of a segment is R + 256 G + 256² B, 0 is nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from psalm.errors import AnnotationError

MAX_ID = 2**24 - 1


def write_ids(path: Path, ids: NDArray[np.uint32]) -> None:
    """Write an (H, W) picture of segment ids as an RGB PNG."""
    from PIL import Image

    colours = np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours).save(path, format="PNG")


def read_ids(path: Path, size: tuple[int, int]) -> NDArray[np.uint32]:
    """Read an (H, W) picture of segment ids.

    Raises
    ------
    AnnotationError
        When it is no RGB picture of this size.
    """
    colours = read_picture(path, size, ("RGB", "RGBA")).astype(np.uint32)
    ids: NDArray[np.uint32] = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
    return ids


def read_picture(path: Path, size: tuple[int, int], modes: tuple[str, ...]) -> NDArray[np.generic]:
    """Read the values of a picture as they are in the file; a palette gives positions, not colours.

    Raises
    ------
    AnnotationError
        When it cannot be read, or has another size or mode.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.size != (size[1], size[0]):
                raise AnnotationError(
                    f"{path} is {picture.height} x {picture.width}, its image {size[0]} x {size[1]} (height, width): "
                    "write it at the size of the image."
                )
            if picture.mode not in modes:
                raise AnnotationError(f"{path} has the mode {picture.mode}: write it as {' or '.join(modes)}.")
            return np.array(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise AnnotationError(f"{path} cannot be read as a picture ({error}): write it again as PNG.") from error
