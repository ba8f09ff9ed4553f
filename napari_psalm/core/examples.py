"""Marked objects whose like is looked for, in their own image or in others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.kept_objects import KeptObjects, kept_objects
from napari_psalm.core.patches import Patch
from napari_psalm.core.tiled_answers import ask_in_tiles, drawn_exclusions
from psalm.conditions import Task
from psalm.errors import AnnotationError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_psalm.core.annotation_layers import AnnotationLayer
    from napari_psalm.core.questions import Question
    from psalm.exemplars import Exemplars

LEAST_SCORE = 0.05
"""Objects that are less alike are not kept for the slider."""
_WHOLE, _AROUND = 2048, 1024  # pixels: sides of an image that is kept whole, and of what is kept of a larger one


@dataclass(frozen=True)
class Example:
    """Marked objects of one class, and the image that shows them.

    Parameters
    ----------
    name : str
        The class.
    pixels : (H, W) or (H, W, C) array
    masks : (K, H, W) array of bool
    source : str
        The image's name.
    """

    name: str
    pixels: NDArray[Any] = field(repr=False)
    masks: NDArray[np.bool_] = field(repr=False)
    source: str


@dataclass(frozen=True)
class Examples:
    """All examples that are looked for."""

    items: tuple[Example, ...] = ()

    def __len__(self) -> int:
        return sum(len(one.masks) for one in self.items)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, each once."""
        return tuple(dict.fromkeys(one.name for one in self.items))

    @property
    def words(self) -> str:
        """How many of what, and from where ("3 nucleus from cells.png")."""
        lines = []
        for name in self.names:
            own = [one for one in self.items if one.name == name]
            sources = list(dict.fromkeys(one.source for one in own))
            more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
            lines.append(f"{sum(len(one.masks) for one in own)} {name} from {sources[0]}{more}")
        return "\n".join(lines)

    def joined(self, other: Examples) -> Examples:
        """These and others."""
        return Examples((*self.items, *other.items))


def take_examples(
    viewer: ViewerModel, image: Image | None, layer: AnnotationLayer | None, ids: Sequence[int]
) -> Examples:
    """The objects with these ids, as far as the slice that is shown has them.

    Raises
    ------
    AnnotationError
        When none is chosen, or none lies on this slice.
    ImageError
        When there is no image.
    """
    if layer is None or not ids:
        raise AnnotationError("Choose an object first: in the table, or on the canvas with the colour picker (L).")
    plane = visible_plane(viewer, image)
    if not layer.fits(plane):
        raise AnnotationError("The objects belong to another image: choose their image first.")
    values = plane.cut(layer.layer.data)
    groups: dict[Any, tuple[ImagePlane, list[NDArray[np.bool_]]]] = {}
    for label_id in ids:
        shown = _shown(plane, values == label_id)
        if shown is not None:
            key = layer.facts(label_id).category, str(shown[0].extent)
            groups.setdefault(key, (shown[0], []))[1].append(shown[1])
    if not groups:
        raise AnnotationError("The chosen objects are not on this slice: go to one that shows them.")
    return Examples(
        tuple(
            Example(name, seen.read(), np.stack(masks), plane.layer.name) for (name, _), (seen, masks) in groups.items()
        )
    )


def _shown(plane: ImagePlane, mask: NDArray[np.bool_]) -> tuple[ImagePlane, NDArray[np.bool_]] | None:
    """What is kept of the image, and the object there; of a large image what lies around the object."""
    if not mask.any():
        return None
    if max(plane.shape) <= _WHOLE:
        return plane, mask
    window = []
    for length, span in zip(plane.shape, Patch.from_mask(mask).slices, strict=True):
        side = max(_AROUND, 2 * (span.stop - span.start))
        start = int(np.clip((span.start + span.stop - side) // 2, 0, max(length - side, 0)))
        window.append(slice(start, min(start + side, length)))
    return plane.within(window[0], window[1]), mask[window[0], window[1]]


class Marker:
    """Turns examples into what the model remembers of them; the last ones are kept."""

    def __init__(self) -> None:
        self._last: tuple[Examples, Any, list[Exemplars]] | None = None

    def mark(self, examples: Examples, predictor: Any) -> list[Exemplars]:
        """One record for each class; in the worker thread."""
        if self._last is None or self._last[0] is not examples or self._last[1] is not predictor:
            from psalm.exemplars import mark_exemplars

            found: dict[str, Exemplars] = {}
            for one in examples.items:
                new = mark_exemplars(predictor, one.pixels, one.masks, one.name)
                found[one.name] = found[one.name].joined(new) if one.name in found else new
            self._last = examples, predictor, list(found.values())
        return self._last[2]


def ask_alike(
    question: Question, predictor: Any, exemplars: Sequence[Exemplars], least: float, tell: Callable[[int, int], None]
) -> tuple[KeptObjects, str]:
    """What looks like the exemplars: in `question.seen` at once, or in tiles of it."""
    from psalm.exemplars import ExemplarPredictor, find_alike

    if question.tiled:
        alike = ExemplarPredictor(predictor, exemplars)
        return ask_in_tiles(question, alike, least, tell, alike.object_size)
    found = find_alike(predictor, question.seen.read(), exemplars, LEAST_SCORE)
    objects = [
        (Patch.from_mask(mask), float(score), int(category) - 1)
        for mask, score, category in zip(found.masks, found.scores, found.category_ids, strict=True)
    ]
    names = tuple(category.name for category in found.categories)
    return kept_objects(Task.INSTANCE, names, question.seen.shape, objects, drawn_exclusions(question)), ""
