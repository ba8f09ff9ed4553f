"""Images larger than the model's input, and with more objects than it has mask tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task, VisualPriorCondition
from psalm.cutouts import CutoutAnnotations, CutoutRegions
from psalm.errors import ConditionError
from psalm.tiling.asking import Predictor, Question, to_image
from psalm.tiling.categories import Progress, search
from psalm.tiling.plan import Tile, TilePlan
from psalm.tiling.regions import ask_regions
from psalm.tiling.source import ImageSource

if TYPE_CHECKING:
    from psalm.decoding import Thresholds

__all__ = ["ImageSource", "Tile", "TilePlan", "TiledAnswer", "predict_tiled"]


@dataclass(frozen=True)
class TiledAnswer:
    """The objects of an image of any size, and how they were found.

    Parameters
    ----------
    objects : CutoutAnnotations
    looks : int
        How many tiles or windows the model was asked about.
    message : str
        What was done, in words.
    doubt : str
        Why the plan may not fit the image; empty when it does.
    """

    objects: CutoutAnnotations
    looks: int
    message: str
    doubt: str = ""


def predict_tiled(
    predictor: Predictor,
    image: Any,
    condition: Condition | CutoutRegions,
    plan: TilePlan | None = None,
    *,
    task: Task | str | None = None,
    score_threshold: float | None = None,
    thresholds: Thresholds | None = None,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> TiledAnswer:
    """Find what a condition asks for in an image of any size, with any number of objects.

    A class list is asked tile by tile, and a tile with more objects than the model can find at once is asked again in
    quarters. Regions are asked in windows around them. A sentence is about the whole picture, and is asked of the
    whole image, shrunk. Only windows of the image are ever in memory.

    Parameters
    ----------
    predictor : PSALMPredictor
    image : array, list of arrays, path or ImageSource
        (H, W) or (H, W, C); numpy, memory-mapped, dask or zarr; a list holds the levels of a pyramid, finest first; a
        path may name an image file or an OME-Zarr folder.
    condition : CategoryCondition, SentenceCondition, VisualPriorCondition or CutoutRegions
    plan : TilePlan, optional
        How to cut; automatic when not given.
    task, score_threshold, thresholds
        As in `PSALMPredictor.predict`.
    batch_size : int
        Tiles per pass.
    progress : callable, optional
        Called as ``progress(done, total, where)``; the total grows when tiles are quartered.

    Returns
    -------
    TiledAnswer
        Masks in pixels of the finest level.

    Raises
    ------
    ImageError
        When the image cannot be read or used.
    ConditionError
        When the condition does not fit the task or the image.
    """
    source, plan = ImageSource.of(image), plan or TilePlan()
    task = None if task is None else Task(task)
    question = Question(predictor, task, score_threshold, thresholds, max(batch_size, 1))
    if isinstance(condition, SentenceCondition):
        return _ask_whole(source, condition, question)
    if isinstance(condition, CategoryCondition):
        return TiledAnswer(*search(source, condition, question, plan, progress))
    regions = CutoutRegions.from_condition(condition) if isinstance(condition, VisualPriorCondition) else condition
    if tuple(regions.size) != source.size:
        raise ConditionError(
            f"The regions have size {tuple(regions.size)}, the image {source.size} (height, width): "
            "make them at the image's size."
        )
    return TiledAnswer(*ask_regions(source, regions, question, plan, progress))


def _ask_whole(source: ImageSource, condition: SentenceCondition, question: Question) -> TiledAnswer:
    window = (0, 0, *source.size)
    found = question.ask([question.read(source, window)], [condition])[0]
    cutouts = [to_image(mask, window) for mask in found.masks]
    kept = [i for i, cutout in enumerate(cutouts) if cutout is not None]
    objects = CutoutAnnotations(
        source.size,
        tuple(cutout for cutout in cutouts if cutout is not None),
        found.category_ids[kept],
        found.scores[kept],
        found.categories,
        tuple(found.prompts[i] for i in kept),
    )
    return TiledAnswer(objects, 1, "A sentence is about the whole picture: the image was not cut.")
