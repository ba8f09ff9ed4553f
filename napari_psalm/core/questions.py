"""What a user asks in the window, made definite: a plane of an image and a condition for the model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.annotation_layers import AnnotationLayer, FoundObject
from napari_psalm.core.category_table import NO_CATEGORY, CategoryTable
from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.prompt_layers import PromptLayers, read_regions
from psalm.annotations import Annotations
from psalm.conditions import Condition, SentenceCondition, Task, VisualPriorCondition, check_task
from psalm.errors import AnnotationError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels


@dataclass(frozen=True)
class Request:
    """What the user asks: the state of the widget when the button is pressed.

    Parameters
    ----------
    image : napari.layers.Image, optional
        The image to look at.
    task : Task
        Chooses which of the next three is read.
    categories : CategoryTable
        The class list.
    sentence : str
        Referring text.
    prompts : PromptLayers
        Where prompts are drawn.
    category : str
        The class of what a sentence or a prompt finds.
    result : napari.layers.Labels, optional
        Where the objects go; a new layer when not given.
    score_threshold : float, optional
        Least score of an object; the model's own when not given. A prompt always gets its object.
    replace : bool
        Take away what the same task found on this slice before.
    """

    image: Image | None
    task: Task
    categories: CategoryTable = field(default_factory=CategoryTable)
    sentence: str = ""
    prompts: PromptLayers = field(default_factory=PromptLayers)
    category: str = NO_CATEGORY
    result: Labels | None = None
    score_threshold: float | None = None
    replace: bool = False


@dataclass(frozen=True)
class Question:
    """A request made definite: the plane, and the condition for the model."""

    request: Request
    plane: ImagePlane
    condition: Condition
    names: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = field(default=(), repr=False)


def ask(viewer: ViewerModel, request: Request, layer: AnnotationLayer | None) -> Question:
    """Make a request definite.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Knows which slice is shown.
    request : Request
        What is asked.
    layer : AnnotationLayer, optional
        The record of `request.result`.

    Raises
    ------
    ImageError
        When there is no image to look at.
    ConditionError
        When the class list, the sentence or the prompts cannot be used.
    AnnotationError
        When the result layer does not fit, or every prompt has its object.
    """
    plane = visible_plane(viewer, request.image)
    if layer is not None and not layer.fits(plane):
        raise AnnotationError(
            f"{layer.layer.name!r} has shape {layer.layer.data.shape}, the image {plane.stack_shape}: "
            "choose 'New layer' as the layer to write to."
        )
    if request.task is Task.INTERACTIVE:
        return _ask_for_prompts(request, plane, layer)
    is_sentence = request.task in (Task.REFERRING, Task.GENERALISED_REFERRING)
    condition = SentenceCondition(request.sentence) if is_sentence else request.categories.condition()
    check_task(request.task, condition)
    return Question(request, plane, condition)


def _ask_for_prompts(request: Request, plane: ImagePlane, layer: AnnotationLayer | None) -> Question:
    """Ask for the prompts that have no object yet; for all when the old objects are replaced."""
    regions = read_regions(request.prompts, plane)
    keys = [_key(plane, region.condition) for region in regions]
    if layer is not None and not request.replace:
        answered = {key for key, label_id in layer.answered.items() if layer.holds(label_id, plane)}
        unanswered = [i for i, key in enumerate(keys) if key not in answered]
        if not unanswered:
            raise AnnotationError("Every prompt has its object already: add a prompt, or undo the object.")
        regions, keys = [regions[i] for i in unanswered], [keys[i] for i in unanswered]
    condition = VisualPriorCondition.concatenate([region.condition for region in regions])
    return Question(request, plane, condition, tuple(region.name for region in regions), tuple(keys))


def answered_prompts(question: Question, found: Annotations) -> list[int]:
    """Which prompt each object answers; the model leaves out a prompt for which every mask is empty."""
    if not isinstance(question.condition, VisualPriorCondition):
        return []
    texts = [f"{kind} {i}" for i, kind in enumerate(question.condition.kinds, start=1)]
    return [texts.index(prompt) for prompt in found.prompts]


def describe(question: Question, found: Annotations, answers: list[int]) -> list[FoundObject]:
    """Class, score and prompt of each object; what a sentence or prompt found has the class that the user chose."""
    task = question.request.task
    by_class = task in (Task.INSTANCE, Task.PANOPTIC, Task.SEMANTIC)
    names = found.names if by_class else (question.request.category,) * len(found)
    prompts = [question.names[i] for i in answers] or found.prompts
    return [
        FoundObject(name, float(score), prompt, task.value)
        for name, score, prompt in zip(names, found.scores, prompts, strict=True)
    ]


def digest(array: NDArray[Any]) -> bytes:
    """Tells one array from another by its content."""
    hashed = hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data, digest_size=16)
    hashed.update(f"{array.shape}{array.dtype}".encode())
    return hashed.digest()


def _key(plane: ImagePlane, condition: VisualPriorCondition) -> bytes:
    """Tells a prompt by its pixels and its slice, so that a moved point is a new prompt."""
    return digest(np.packbits(condition.masks)) + repr(plane.slicer).encode()
