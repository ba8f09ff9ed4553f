"""Masks as COCO writes them: run-length codes and polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.errors import AnnotationError


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Compressed RLE of a mask.

    Parameters
    ----------
    mask : (H, W) array of bool

    Returns
    -------
    dict
        ``size`` (height, width) and ``counts`` as text, ready for JSON.
    """
    from pycocotools import mask as coco_mask

    code = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(length) for length in code["size"]], "counts": code["counts"].decode("ascii")}


def decode_segmentation(segmentation: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of a COCO segmentation: polygons, compressed or uncompressed RLE.

    Parameters
    ----------
    segmentation : dict or list
        RLE with ``size`` and ``counts``, or polygons ``[[x, y, x, y, ...], ...]`` whose union is the object.
    size : (height, width)
        Size of the image in pixels.

    Returns
    -------
    (H, W) array of bool

    Raises
    ------
    AnnotationError
        When the segmentation is malformed or does not fit `size`.
    """
    from pycocotools import mask as coco_mask

    check_segmentation(segmentation, size)
    height, width = size
    if isinstance(segmentation, Mapping):
        counts = segmentation["counts"]
        runs = counts if isinstance(counts, list) else _runs(counts)
        if sum(runs) != height * width or min(runs, default=0) < 0:
            raise AnnotationError(
                f"The RLE counts cover {sum(runs)} pixels, the image has {height} x {width} = {height * width}: "
                "write the mask again, column by column."
            )
        code = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    else:
        code = coco_mask.merge(coco_mask.frPyObjects([list(map(float, ring)) for ring in segmentation], height, width))
    return np.asarray(coco_mask.decode(code), dtype=bool)


def check_segmentation(segmentation: Any, size: tuple[int, int]) -> None:
    """Raise `AnnotationError` when a segmentation is malformed, without decoding it."""
    if isinstance(segmentation, Mapping):
        _check_rle(segmentation, size)
    elif isinstance(segmentation, Sequence) and not isinstance(segmentation, (str, bytes)):
        _check_polygons(segmentation)
    else:
        raise AnnotationError("The segmentation is neither RLE nor a list of polygons: give one of them.")


def _check_rle(code: Mapping[str, Any], size: tuple[int, int]) -> None:
    if "counts" not in code or "size" not in code:
        raise AnnotationError("The RLE lacks 'size' or 'counts': write both.")
    if not isinstance(code["counts"], (str, bytes, list)):
        raise AnnotationError("The RLE counts are neither text nor a list of numbers: write one of them.")
    if list(code["size"]) != list(size):
        raise AnnotationError(
            f"The RLE has size {list(code['size'])}, its image {list(size)} (height, width): "
            "make the mask at the size of the image."
        )


def _check_polygons(rings: Sequence[Any]) -> None:
    if not rings:
        raise AnnotationError("The segmentation is empty: give a polygon or RLE, or remove the annotation.")
    for ring in rings:
        if not isinstance(ring, Sequence):
            raise AnnotationError("The polygon is a flat list of numbers: nest it, [[x, y, x, y, ...]].")
        if len(ring) < 6 or len(ring) % 2:
            raise AnnotationError(f"A polygon has {len(ring)} numbers: give at least three points as x, y pairs.")


def _runs(counts: str | bytes) -> list[int]:
    """Lengths of the runs of a compressed RLE; every run from the fourth on is stored as a difference."""
    data = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
    runs: list[int] = []
    value, shift = 0, 0
    for byte in data:
        digit = byte - 48
        if not 0 <= digit < 64:
            raise AnnotationError(f"The RLE counts hold the character {chr(byte)!r}, which no RLE has: write it again.")
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise AnnotationError("The RLE counts end in the middle of a number: the text was cut; write it again.")
    return runs
