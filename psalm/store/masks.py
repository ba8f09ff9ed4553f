"""Masks as the store keeps them: the counts of a compressed COCO RLE, with area and box beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco.rle import area_of, bbox_of, encode_mask, to_rle
from psalm.errors import AnnotationError


@dataclass(frozen=True)
class MaskCode:
    """A mask that has been checked and encoded.

    Parameters
    ----------
    counts : bytes
        Compressed COCO RLE.
    area : int
        Pixels.
    bbox : (row0, column0, row1, column1)
        The last row and column are not part of it.
    """

    counts: bytes
    area: int
    bbox: tuple[int, int, int, int]


def encode(mask: NDArray[np.bool_] | None, rle: Mapping[str, Any] | None, size: tuple[int, int]) -> MaskCode:
    """Check a mask, given as an array or as a COCO segmentation, against its image's size and encode it.

    Raises
    ------
    AnnotationError
        When it has another size, is damaged, or covers no pixel.
    """
    code = to_rle(rle, size) if mask is None else encode_mask(_checked(np.asarray(mask), size))
    area = area_of(code)
    if not area:
        raise AnnotationError("The mask covers no pixel: leave the object out, or remove it.")
    column, row, width, height = map(int, bbox_of(code))
    return MaskCode(code["counts"].encode("ascii"), area, (row, column, row + height, column + width))


def rle_of(counts: bytes, size: tuple[int, int]) -> dict[str, Any]:
    """The COCO segmentation of stored counts, ready for JSON."""
    return {"size": [size[0], size[1]], "counts": counts.decode("ascii")}


def changed_pixels(before: bytes, after: bytes, size: tuple[int, int]) -> int:
    """Pixels in which two stored masks differ."""
    from pycocotools import mask as coco_mask

    codes = [rle_of(counts, size) for counts in (before, after)]
    common = coco_mask.area(coco_mask.merge(codes, intersect=True))
    return area_of(codes[0]) + area_of(codes[1]) - 2 * int(common)


def _checked(mask: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    if mask.shape != size:
        raise AnnotationError(
            f"The mask has shape {mask.shape}, its image {size} (height, width): make the mask at the image's size."
        )
    if mask.dtype != bool:
        raise AnnotationError(f"The mask holds {mask.dtype}: give bool, one mask per object.")
    return mask
