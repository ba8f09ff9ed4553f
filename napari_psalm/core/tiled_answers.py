"""Questions about images of any size, with any number of objects: the image is asked tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.exclusions import Exclusions
from napari_psalm.core.image_planes import ImagePlane
from napari_psalm.core.kept_objects import KeptObjects, kept_objects
from napari_psalm.core.patches import Patch
from psalm.conditions import Task, VisualPriorCondition

if TYPE_CHECKING:
    from napari_psalm.core.questions import Question
    from psalm.tiling import TilePlan

FLOOR = 0.5
"""Objects are kept down to this share of the score that is asked for, so that the slider may go below it."""


class PlanePixels:
    """A plane of an image layer as `psalm.tiling` reads it: window by window, whatever kind of array it is.

    Parameters
    ----------
    plane : ImagePlane
    """

    def __init__(self, plane: ImagePlane) -> None:
        self._plane = plane
        colours = plane.source.shape[plane.ndim :]
        self.shape: tuple[int, ...] = (*plane.shape, *(int(n) for n in colours))
        self.dtype = np.dtype(plane.source.dtype)

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = (slice(*part.indices(n)[:2]) for part, n in zip(window, self.shape, strict=False))
        return self._plane.within(rows, columns).read()


def choose_plan() -> TilePlan:
    """Tiles of the model's size, as soon as the image is larger; where tokens run out, a tile is quartered."""
    from psalm.tiling import TilePlan

    return TilePlan(factor=1.0)


def ask_in_tiles(
    question: Question,
    predictor: Any,
    least: float,
    progress: Callable[[int, int], None],
    object_size: float | None = None,
) -> tuple[KeptObjects, str]:
    """Ask about `question.seen` in tiles.

    Parameters
    ----------
    question : Question
    predictor : PSALMPredictor, or what answers in its stead
    least : float
        The score that the user asks for.
    progress : callable
        Called as ``progress(done, total)`` before each tile; what it raises ends the work.
    object_size : float, optional
        Diameter of the objects in pixels, where it is known.

    Returns
    -------
    KeptObjects
    str
        How many tiles it took, in words.
    """
    from psalm.tiling import predict_tiled

    plan = choose_plan().fitted(object_size, question.seen.shape, predictor.config)
    task, condition = question.request.task, question.condition
    by_region = isinstance(condition, VisualPriorCondition)
    answer = predict_tiled(
        predictor,
        PlanePixels(question.seen),
        question.asked(heeds_exclusions=True) if by_region and predictor.heeds_exclusions else condition,
        plan,
        task=task,
        score_threshold=None if by_region else FLOOR * least,
        progress=lambda done, total, _where: progress(done, total),
    )
    found = answer.objects
    # A region is named by its number, since those without an object have no answer.
    parts = [int(text.split()[-1]) - 1 for text in found.prompts] if by_region else (found.category_ids - 1).tolist()
    objects = [
        (Patch(*cutout.corner, cutout.mask()), float(score), int(part))
        for cutout, score, part in zip(found.cutouts, found.scores, parts, strict=True)
    ]
    names = ("",) * len(condition) if by_region else tuple(category.name for category in found.categories)
    kept = kept_objects(task, names, question.seen.shape, objects, drawn_exclusions(question))
    window = "window" if by_region else "tile"
    return kept, f"Seen in {answer.looks} {window}{'' if answer.looks == 1 else 's'}."


def drawn_exclusions(question: Question) -> Exclusions:
    """What was excluded is cut off, whatever the model made of it; it is not asked what it shows."""
    if question.excluded is None:
        return Exclusions()
    drawn = tuple(Patch.from_mask(mask) for mask in question.excluded)
    regions = question.condition.masks if isinstance(question.condition, VisualPriorCondition) else ()
    return Exclusions(drawn, (None,) * len(drawn), regions=tuple(Patch.from_mask(mask) for mask in regions))


def is_cut_up(task: Task) -> bool:
    """Whether a task may be asked in tiles; a sentence is about the whole picture."""
    return task not in (Task.REFERRING, Task.GENERALISED_REFERRING)
