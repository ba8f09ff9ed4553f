"""Masks in their own boxes, for images in which one full mask per object would fill the memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psalm.annotations import Annotations, Category
from psalm.conditions import RegionKind, VisualPriorCondition
from psalm.errors import AnnotationError, ConditionError

_MOST_BYTES = 1 << 30  # of full masks that are made without a word


@dataclass(frozen=True)
class Cutout:
    """A mask in its own box; pixels are kept as bits.

    Parameters
    ----------
    corner : (row, column)
        Where the first pixel of the box lies in the image.
    shape : (height, width)
        Of the box.
    bits : bytes
        The pixels of the box in row-major order, eight to a byte.
    area : int
        Pixels of the mask.
    """

    corner: tuple[int, int]
    shape: tuple[int, int]
    bits: bytes = field(repr=False)
    area: int

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> Cutout | None:
        """Cut a (h, w) mask, whose first pixel lies at `corner` of the image, to its box; None when it is empty."""
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        place = int(corner[0] + rows[0]), int(corner[1] + columns[0])
        return cls(place, (part.shape[0], part.shape[1]), np.packbits(part).tobytes(), int(np.count_nonzero(part)))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(row0, column0, row1, column1); the upper ends are exclusive."""
        (row, column), (height, width) = self.corner, self.shape
        return row, column, row + height, column + width

    @property
    def centre(self) -> tuple[float, float]:
        """(row, column) of the middle of the box."""
        row0, column0, row1, column1 = self.box
        return (row0 + row1 - 1) / 2, (column0 + column1 - 1) / 2

    @property
    def extent(self) -> int:
        """The longer side of the box in pixels."""
        return max(self.shape)

    def mask(self) -> NDArray[np.bool_]:
        """The (h, w) mask of the box."""
        bits = np.frombuffer(self.bits, dtype=np.uint8)
        return np.unpackbits(bits, count=self.shape[0] * self.shape[1]).reshape(self.shape).view(bool)

    def within(self, window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        """The (h, w) mask of a window (row0, column0, row1, column1) of the image."""
        result = np.zeros((window[2] - window[0], window[3] - window[1]), dtype=bool)
        shared = intersection(self.box, window)
        if shared is not None:
            result[_slices(shared, window[:2])] = self.mask()[_slices(shared, self.corner)]
        return result

    def clipped(self, window: tuple[int, int, int, int]) -> Cutout | None:
        """The part inside a window; None when there is none."""
        shared = intersection(self.box, window)
        return None if shared is None else Cutout.from_mask(self.within(shared), shared[:2])

    def moved(self, rows: int, columns: int) -> Cutout:
        """The same mask elsewhere."""
        return Cutout((self.corner[0] + rows, self.corner[1] + columns), self.shape, self.bits, self.area)

    def full(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask (H, W) on an image of a size; what lies outside is cut off."""
        return self.within((0, 0, *size))

    def to_rle(self, size: tuple[int, int]) -> dict[str, Any]:
        """COCO's compressed RLE on an image of a size, made from the box alone.

        Raises
        ------
        AnnotationError
            When the mask reaches out of the image.
        """
        from pycocotools import mask as coco_mask

        row0, column0, row1, column1 = self.box
        if min(row0, column0) < 0 or row1 > size[0] or column1 > size[1]:
            raise AnnotationError(f"The mask in the box {self.box} reaches out of the image of {size}: clip it first.")
        columns = np.pad(self.mask().T, ((0, 0), (1, 1))).astype(np.int8)
        change = np.diff(columns, axis=1)
        where, starts = np.nonzero(change == 1)
        stops = np.nonzero(change == -1)[1]
        base = (where + column0) * size[0] + row0
        counts = np.diff(np.stack([base + starts, base + stops], axis=1).ravel(), prepend=0, append=size[0] * size[1])
        code = coco_mask.frPyObjects({"size": list(size), "counts": _joined(counts).tolist()}, *size)
        return {"size": [int(length) for length in code["size"]], "counts": code["counts"].decode("ascii")}

    def overlap(self, other: Cutout) -> int:
        """How many pixels two masks share."""
        shared = intersection(self.box, other.box)
        if shared is None:
            return 0
        mine, theirs = (one.mask()[_slices(shared, one.corner)] for one in (self, other))
        return int(np.count_nonzero(mine & theirs))


@dataclass(frozen=True)
class CutoutAnnotations:
    """Objects of one image of any size: `Annotations` with each mask in its own box.

    Parameters
    ----------
    size : (height, width)
        Of the image in pixels.
    cutouts : tuple of Cutout
    category_ids : (N,) array of int
    scores : (N,) array of float
    categories : tuple of Category
    prompts : tuple of str
        As in `Annotations`.

    Raises
    ------
    AnnotationError
        When lengths or ids do not fit together.
    """

    size: tuple[int, int]
    cutouts: tuple[Cutout, ...]
    category_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    categories: tuple[Category, ...]
    prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # The checks are those of `Annotations`; masks of no pixels stand for the cutouts.
        checked = Annotations(
            np.zeros((len(self.cutouts), 0, 0), bool), self.category_ids, self.scores, self.categories, self.prompts
        )
        object.__setattr__(self, "cutouts", tuple(self.cutouts))
        for name in ("category_ids", "scores", "categories", "prompts"):
            object.__setattr__(self, name, getattr(checked, name))

    def __len__(self) -> int:
        return len(self.cutouts)

    @property
    def names(self) -> tuple[str, ...]:
        """Category name of each object."""
        by_id = {category.id: category.name for category in self.categories}
        return tuple(by_id[int(category_id)] for category_id in self.category_ids)

    @classmethod
    def from_annotations(cls, found: Annotations) -> CutoutAnnotations:
        """Cut every mask to its box; objects without a pixel are left out."""
        cutouts = [Cutout.from_mask(mask) for mask in found.masks]
        kept = found.select([i for i, cutout in enumerate(cutouts) if cutout is not None])
        parts = tuple(cutout for cutout in cutouts if cutout is not None)
        return cls(found.size, parts, kept.category_ids, kept.scores, kept.categories, kept.prompts)

    def select(self, index: NDArray[np.bool_] | NDArray[np.int64] | Sequence[int]) -> CutoutAnnotations:
        """The objects that `index` (booleans or positions) names, in its order."""
        chosen = np.arange(len(self))[np.asarray(index, dtype=None if len(index) else np.int64)]
        return CutoutAnnotations(
            self.size,
            tuple(self.cutouts[i] for i in chosen),
            self.category_ids[chosen],
            self.scores[chosen],
            self.categories,
            tuple(self.prompts[i] for i in chosen),
        )

    def to_annotations(self) -> Annotations:
        """Full masks (N, H, W).

        Raises
        ------
        AnnotationError
            When they would need more than a gigabyte.
        """
        needed = len(self) * self.size[0] * self.size[1]
        if needed > _MOST_BYTES:
            raise AnnotationError(
                f"{len(self)} masks of {self.size[0]} x {self.size[1]} pixels would need {needed / 2**30:.1f} GB: "
                "use to_labels(), rles() or the cutouts."
            )
        masks = np.zeros((len(self), *self.size), dtype=bool)
        for mask, cutout in zip(masks, self.cutouts, strict=True):
            mask[:] = cutout.full(self.size)
        return Annotations(masks, self.category_ids, self.scores, self.categories, self.prompts)

    def to_labels(self) -> NDArray[np.uint32]:
        """One (H, W) label image: object i has value i + 1; where masks overlap the better score wins."""
        labels = np.zeros(self.size, dtype=np.uint32)
        for i in np.argsort(self.scores, kind="stable"):
            inside = self.cutouts[i].clipped((0, 0, *self.size))
            if inside is not None:
                labels[_slices(inside.box, (0, 0))][inside.mask()] = i + 1
        return labels

    def rles(self) -> list[dict[str, Any]]:
        """COCO's compressed RLE of every object."""
        return [cutout.to_rle(self.size) for cutout in self.cutouts]


@dataclass(frozen=True)
class CutoutRegions:
    """Regions drawn on an image of any size: `VisualPriorCondition` with each mask in its own box.

    Parameters
    ----------
    size : (height, width)
        Of the image in pixels.
    cutouts : tuple of Cutout
    kinds : tuple of {"point", "scribble", "box", "mask"}
        How each was drawn; all ``"mask"`` when not given.
    excluded : tuple of Cutout
        What belongs to none of the objects that are asked for.

    Raises
    ------
    ConditionError
        When there is no region, or numbers do not fit.
    """

    size: tuple[int, int]
    cutouts: tuple[Cutout, ...]
    kinds: tuple[RegionKind, ...] = ()
    excluded: tuple[Cutout, ...] = ()

    def __post_init__(self) -> None:
        cutouts, kinds = tuple(self.cutouts), tuple(self.kinds) or ("mask",) * len(self.cutouts)
        if not cutouts or len(kinds) != len(cutouts):
            raise ConditionError(f"{len(kinds)} kinds for {len(cutouts)} regions: give at least one, and one of each.")
        object.__setattr__(self, "cutouts", cutouts)
        object.__setattr__(self, "kinds", kinds)

    def __len__(self) -> int:
        return len(self.cutouts)

    @classmethod
    def from_condition(cls, condition: VisualPriorCondition) -> CutoutRegions:
        """The same regions as cutouts."""
        excluded = () if condition.excluded is None else _cut_out(condition.excluded)
        return cls(condition.masks.shape[1:], _cut_out(condition.masks), condition.kinds, excluded)

    @classmethod
    def from_points(cls, points: ArrayLike, size: tuple[int, int], radius: float = 10.0) -> CutoutRegions:
        """One region per click (row, column), as `VisualPriorCondition.from_points` draws them."""
        return cls._drawn(np.atleast_2d(np.asarray(points, dtype=np.float64)), size, radius)

    @classmethod
    def from_boxes(cls, boxes: ArrayLike, size: tuple[int, int]) -> CutoutRegions:
        """One region per box (row0, column0, row1, column1); the upper ends are exclusive."""
        cutouts = []
        for i, box in enumerate(np.atleast_2d(np.round(np.asarray(boxes, dtype=np.float64))).astype(int)):
            inside = intersection(tuple(box.tolist()), (0, 0, *size))
            if inside is None:
                raise ConditionError(f"Box {i + 1} covers no pixel of the image: draw it inside the image.")
            mask = np.ones((inside[2] - inside[0], inside[3] - inside[1]), dtype=bool)
            cutouts.append(Cutout.from_mask(mask, inside[:2]))
        return cls(size, tuple(cut for cut in cutouts if cut is not None), _all("box", len(cutouts)))

    @classmethod
    def _drawn(cls, points: NDArray[np.float64], size: tuple[int, int], radius: float) -> CutoutRegions:
        reach = int(np.ceil(radius)) + 2
        cutouts = []
        for i, point in enumerate(points):
            if not np.isfinite(point).all() or (point < -0.5).any() or (point > np.asarray(size) - 0.5).any():
                raise ConditionError(
                    f"Point {i + 1} at (row {point[0]:g}, column {point[1]:g}) lies outside the image of "
                    f"{size[0]} x {size[1]} pixels: place it inside."
                )
            corner = np.maximum(np.floor(point).astype(int) - reach, 0)
            shape = np.minimum(np.ceil(point).astype(int) + reach, size) - corner
            drawn = VisualPriorCondition.from_points([point - corner], (int(shape[0]), int(shape[1])), radius)
            cutouts.append(Cutout.from_mask(drawn.masks[0], (int(corner[0]), int(corner[1]))))
        return cls(size, tuple(cut for cut in cutouts if cut is not None), _all("point", len(cutouts)))


def _cut_out(masks: NDArray[np.bool_]) -> tuple[Cutout, ...]:
    return tuple(cut for cut in map(Cutout.from_mask, masks) if cut is not None)


def intersection(one: Iterable[int], other: Iterable[int]) -> tuple[int, int, int, int] | None:
    """What two boxes (row0, column0, row1, column1) share; None when they are apart."""
    (a0, b0, a1, b1), (c0, d0, c1, d1) = one, other
    shared = max(a0, c0), max(b0, d0), min(a1, c1), min(b1, d1)
    return shared if shared[0] < shared[2] and shared[1] < shared[3] else None


def _all(kind: RegionKind, count: int) -> tuple[RegionKind, ...]:
    return (kind,) * count


def _slices(box: Sequence[int], corner: Sequence[int]) -> tuple[slice, slice]:
    row, column = corner
    return slice(box[0] - row, box[2] - row), slice(box[1] - column, box[3] - column)


def _joined(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Run lengths of which only the first may be empty (a high object may run on into the next column)."""
    if counts[-1] == 0:
        counts = counts[:-1]
    empty = np.flatnonzero(counts[1:-1] == 0) + 1
    if not len(empty):
        return counts
    ends = np.cumsum(counts)
    keep = np.ones(len(counts), dtype=bool)
    keep[empty] = keep[empty - 1] = False
    return np.diff(ends[keep], prepend=0)
