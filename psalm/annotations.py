"""The answer for one image: objects as masks with category and score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from psalm.errors import AnnotationError


@dataclass(frozen=True)
class Category:
    """A category as COCO knows it; ids start at 1 because 0 means background."""

    id: int
    name: str
    is_thing: bool = True
    supercategory: str = ""


@dataclass(frozen=True)
class Annotations:
    """Objects of one image, a struct of arrays of equal length N; masks may overlap.

    Parameters
    ----------
    masks : (N, H, W) array of bool
        One mask per object, at the image's original size, axis order (row, column).
    category_ids : (N,) array of int
        The `Category.id` of each object.
    scores : (N,) array of float
        Confidence of each object, 0 to 1.
    categories : tuple of Category
        Every category that was asked for, found or not.
    prompts : tuple of str
        What each object answers, in words ("cell", "the cell on the left", "point 1").

    Raises
    ------
    AnnotationError
        When lengths, shapes or ids do not fit together.
    """

    masks: NDArray[np.bool_]
    category_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    categories: tuple[Category, ...]
    prompts: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        masks = np.asarray(self.masks, dtype=bool)
        ids = np.asarray(self.category_ids, dtype=np.int64)
        scores = np.asarray(self.scores, dtype=np.float32)
        prompts = tuple(self.prompts) or ("",) * len(ids)
        if masks.ndim != 3:
            raise AnnotationError(f"Masks have shape {masks.shape}: give (N, height, width).")
        if not len(masks) == len(ids) == len(scores) == len(prompts):
            raise AnnotationError(
                f"{len(masks)} masks, {len(ids)} category ids, {len(scores)} scores and {len(prompts)} prompts: "
                "give one of each per object."
            )
        unknown = sorted(set(ids.tolist()) - {category.id for category in self.categories})
        if unknown:
            raise AnnotationError(f"Category ids {unknown} are not among the categories: add them.")
        if not np.isfinite(scores).all():
            raise AnnotationError("Scores hold NaN or infinite values: give numbers from 0 to 1.")
        for name, value in (("masks", masks), ("category_ids", ids), ("scores", scores), ("prompts", prompts)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "categories", tuple(self.categories))

    def __len__(self) -> int:
        return len(self.category_ids)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image in pixels."""
        return self.masks.shape[1], self.masks.shape[2]

    @property
    def names(self) -> tuple[str, ...]:
        """Category name of each object."""
        by_id = {category.id: category.name for category in self.categories}
        return tuple(by_id[int(category_id)] for category_id in self.category_ids)

    def select(self, index: NDArray[np.bool_] | NDArray[np.int64] | Sequence[int]) -> Annotations:
        """The objects that `index` (booleans or positions) names, in its order."""
        chosen = np.arange(len(self))[np.asarray(index, dtype=None if len(index) else np.int64)]
        return Annotations(
            self.masks[chosen],
            self.category_ids[chosen],
            self.scores[chosen],
            self.categories,
            tuple(self.prompts[i] for i in chosen),
        )

    def to_labels(self) -> NDArray[np.uint32]:
        """Project onto one (H, W) label image: object i has value i + 1; where masks overlap the better score wins."""
        labels = np.zeros(self.size, dtype=np.uint32)
        for i in np.argsort(self.scores, kind="stable"):
            labels[self.masks[i]] = i + 1
        return labels
