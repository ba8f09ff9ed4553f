"""Masks as COCO writes them: run-length codes and polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco.values import shown
from psalm.errors import AnnotationError

# More than the 32 bits that pycocotools counts with.
MAX_PIXELS = 2**31 - 1
# pycocotools takes some 60 bytes for a pixel along a polygon.
_MAX_LENGTH = 2e7


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

    return _as_json(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


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

    return np.asarray(coco_mask.decode(to_rle(segmentation, size)), dtype=bool)


def to_rle(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """The compressed RLE of any COCO segmentation, without decoding it: equal masks have equal codes.

    Parameters
    ----------
    segmentation : dict or list
        RLE with ``size`` and ``counts``, or polygons ``[[x, y, x, y, ...], ...]`` whose union is the object.
    size : (height, width)
        Size of the image in pixels.

    Returns
    -------
    dict
        ``size`` (height, width) and ``counts`` as text, ready for JSON.

    Raises
    ------
    AnnotationError
        When the segmentation is malformed or does not fit `size`.
    """
    from pycocotools import mask as coco_mask

    check_segmentation(segmentation, size)
    height, width = size
    if isinstance(segmentation, Mapping):
        runs = _canonical(_runs(segmentation["counts"]), height, width)
        return _as_json(coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width))
    rings = [np.asarray(ring, dtype=np.float64) for ring in segmentation]
    return _as_json(coco_mask.merge(coco_mask.frPyObjects(rings, height, width)))


def check_segmentation(segmentation: Any, size: tuple[int, int]) -> None:
    """Raise `AnnotationError` when a segmentation is malformed, without decoding it."""
    if size[0] * size[1] > MAX_PIXELS:
        raise AnnotationError(f"The image has {size[0]} x {size[1]} pixels, RLE counts to {MAX_PIXELS}: use tiles.")
    if isinstance(segmentation, Mapping):
        _check_rle(segmentation, size)
    elif isinstance(segmentation, Sequence) and not isinstance(segmentation, (str, bytes)):
        _check_polygons(segmentation, size)
    else:
        raise AnnotationError("The segmentation is neither RLE nor a list of polygons: give one of them.")


def _check_rle(code: Mapping[str, Any], size: tuple[int, int]) -> None:
    if "counts" not in code or "size" not in code:
        raise AnnotationError("The RLE lacks 'size' or 'counts': write both.")
    if not isinstance(code["counts"], (str, bytes, list)):
        raise AnnotationError("The RLE counts are neither text nor a list of numbers: write one of them.")
    written = list(code["size"]) if isinstance(code["size"], (list, tuple)) else code["size"]
    if written != list(size):
        raise AnnotationError(
            f"The RLE has size {shown(written)}, its image {list(size)} (height, width): "
            "make the mask at the size of the image."
        )


def _check_polygons(rings: Sequence[Any], size: tuple[int, int]) -> None:
    if not rings:
        raise AnnotationError("The segmentation is empty: give a polygon or RLE, or remove the annotation.")
    length = 0.0
    for ring in rings:
        if not isinstance(ring, Sequence) or isinstance(ring, (str, bytes)):
            raise AnnotationError("The polygon is a flat list of numbers: nest it, [[x, y, x, y, ...]].")
        if len(ring) < 6 or len(ring) % 2:
            raise AnnotationError(f"A polygon has {len(ring)} numbers: give at least three points as x, y pairs.")
        points = _numbers(ring, "polygon").reshape(-1, 2)
        outside = np.maximum(-points, points - (size[1], size[0])) > (size[1], size[0])
        if outside.any():
            x, y = points[np.flatnonzero(outside.any(axis=1))[0]]
            raise AnnotationError(
                f"A polygon has the point ({x:g}, {y:g}), far outside its image, which is {size[1]} wide and {size[0]} "
                "high: write pixels of this image, x before y."
            )
        length += float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())
    if length > _MAX_LENGTH:
        raise AnnotationError(f"The polygons are {length:.0f} pixels long, pycocotools cannot fill them: write RLE.")


def _numbers(values: Sequence[Any], what: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.full(1, np.nan)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise AnnotationError(f"A {what} holds something that is no finite number: write plain numbers.")
    return numbers


def _runs(counts: str | bytes | list[Any]) -> NDArray[np.int64]:
    """Lengths of the runs of an RLE; in the compressed one, every run from the fourth on is stored as a difference."""
    if isinstance(counts, list):
        numbers = _numbers(counts, "list of RLE counts")
        if (numbers != np.floor(numbers)).any() or (np.abs(numbers) > MAX_PIXELS).any():
            raise AnnotationError("The RLE counts are not whole numbers of pixels: write the mask again.")
        return numbers.astype(np.int64)
    data = np.frombuffer(counts.encode("utf-8", "replace") if isinstance(counts, str) else counts, dtype=np.uint8)
    digits = data.astype(np.int64) - 48
    wrong = np.flatnonzero((digits < 0) | (digits >= 64))
    if wrong.size:
        raise AnnotationError(
            f"The RLE counts hold the character {chr(data[wrong[0]])!r}, which no RLE has: write it again."
        )
    if not digits.size:
        return digits
    ends = np.flatnonzero(digits & 0x20 == 0)
    if digits[-1] & 0x20:
        raise AnnotationError("The RLE counts end in the middle of a number: the text was cut; write it again.")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends + 1 - starts
    if lengths.max() > 7:
        raise AnnotationError("The RLE counts hold a number beyond 32 bits: write the mask again.")
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((digits & 0x1F) << (5 * places), starts)
    runs -= np.where(digits[ends] & 0x10, 1, 0) << (5 * lengths)
    runs[1::2], runs[2::2] = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    return runs


def _canonical(runs: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """The same runs without empty ones, background first; checks that they fill the image."""
    if runs.sum() != height * width or runs.min(initial=0) < 0:
        raise AnnotationError(
            f"The RLE counts cover {runs.sum()} pixels, the image has {height} x {width} = {height * width}: "
            "write the mask again, column by column."
        )
    if runs[1:].all():
        return runs
    # Where two borders fall together, the mask does not change.
    borders, times = np.unique(np.cumsum(runs[:-1]), return_counts=True)
    borders = borders[(times % 2 == 1) & (borders < height * width)]
    return np.diff(borders, prepend=0, append=height * width)


def _as_json(code: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": [int(length) for length in code["size"]], "counts": code["counts"].decode("ascii")}


def area_of(code: Mapping[str, Any]) -> int:
    """Pixels of a compressed RLE."""
    from pycocotools import mask as coco_mask

    return int(coco_mask.area(code))


def bbox_of(code: Mapping[str, Any]) -> list[float]:
    """COCO's box of a compressed RLE: x, y, width, height."""
    from pycocotools import mask as coco_mask

    return [float(value) for value in coco_mask.toBbox(code)]


def pixels_of(code: Mapping[str, Any]) -> NDArray[np.int64]:
    """Positions of the pixels of a compressed RLE, counted down the columns: row + height * column."""
    borders = np.cumsum(_runs(code["counts"]))
    starts, ends = borders[:-1:2], borders[1::2]
    lengths = ends - starts
    return np.arange(lengths.sum()) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)


def sample(code: Mapping[str, Any], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The pixels of a compressed RLE at (len(rows), len(columns)) places; the rest is not decoded."""
    borders = np.cumsum(_runs(code["counts"]))
    return np.searchsorted(borders, rows[:, None] + code["size"][0] * columns, side="right") % 2 == 1


def cut_out(code: Mapping[str, Any]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """The part of a mask that its box holds, and the (row, column) where it starts; the rest is not decoded."""
    columns, rows = np.divmod(pixels_of(code), code["size"][0])
    if not rows.size:
        return np.zeros((0, 0), dtype=bool), (0, 0)
    row, column = int(rows.min()), int(columns.min())
    mask = np.zeros((int(rows.max()) + 1 - row, int(columns.max()) + 1 - column), dtype=bool)
    mask[rows - row, columns - column] = True
    return mask, (row, column)


def masks_by_value(picture: NDArray[Any]) -> dict[int, dict[str, Any]]:
    """The compressed RLE of each value of an (H, W) picture of whole numbers, 0 included, in one pass over it."""
    from pycocotools import mask as coco_mask

    height, width = picture.shape
    flat = picture.T.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    order = np.argsort(flat[starts], kind="stable")
    values, firsts = np.unique(flat[starts][order], return_index=True)
    found = {}
    for value, runs in zip(values.tolist(), np.split(order, firsts[1:]), strict=True):
        borders = np.stack([starts[runs], ends[runs]], axis=1).ravel()
        counts = _canonical(np.diff(borders, prepend=0, append=flat.size), height, width)
        code = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
        found[value] = _as_json(code)
    return found


def odd_of(codes: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> dict[str, Any]:
    """The pixels that an odd number of compressed RLEs cover: an outline and its holes become the part they bound."""
    from pycocotools import mask as coco_mask

    height, width = size
    borders, times = np.unique(
        np.concatenate([np.cumsum(_runs(code["counts"]))[:-1] for code in codes]), return_counts=True
    )
    runs = np.diff(borders[times % 2 == 1], prepend=0, append=height * width)
    return _as_json(coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width))
