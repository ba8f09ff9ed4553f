"""What a user asks in the window, made definite: a part of an image and a condition for the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.category_table import NO_CATEGORY, CategoryTable
from napari_psalm.core.examples import Examples
from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.limits import ClassLimits
from napari_psalm.core.preferences import ThresholdPreferences
from napari_psalm.core.prompt_layers import Mark, PromptLayers, Region, read_prompts, read_regions
from napari_psalm.core.tiled_answers import is_cut_up
from napari_psalm.core.views import reduced, visible_window
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task, VisualPriorCondition, check_task
from psalm.errors import AnnotationError, ConditionError

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
    limits : ClassLimits, optional
        Which proposals become objects; what suits the model, and Preferences, when not given.
    preferred : ThresholdPreferences
        What the user changed in Preferences.
    replace : bool
        Take away what the same task found here before.
    in_view : bool
        Show the model only what the canvas shows, instead of the whole plane.
    preview : bool
        Show the answer until it is accepted, instead of writing it at once.
    refined : int
        The object of `result` that is the prompt, and that the answer replaces; 0 for none.
    tiles : bool
        Show the model the whole plane tile by tile; not for sentences, which are about the whole picture.
    examples : Examples, optional
        Find what looks like these, instead of the class list.
    """

    image: Image | None
    task: Task
    categories: CategoryTable = field(default_factory=CategoryTable)
    sentence: str = ""
    prompts: PromptLayers = field(default_factory=PromptLayers)
    category: str = NO_CATEGORY
    result: Labels | None = None
    limits: ClassLimits | None = None
    preferred: ThresholdPreferences = field(default_factory=ThresholdPreferences)
    replace: bool = False
    in_view: bool = False
    preview: bool = False
    refined: int = 0
    tiles: bool = False
    examples: Examples | None = None


@dataclass(frozen=True)
class Question:
    """A request made definite.

    Parameters
    ----------
    request : Request
    plane : ImagePlane
        Where the objects are written.
    seen : ImagePlane
        The same part of the image as the model is shown it; it may have fewer pixels.
    condition : Condition
        On the grid of `seen`.
    regions : tuple of Region
        The prompts, in the order of the condition.
    exclusions : tuple of Mark
        What must not belong to an object.
    keys : tuple of bytes
        Tell the regions from each other, and from those of other slices.
    """

    request: Request
    plane: ImagePlane
    seen: ImagePlane
    condition: Condition
    regions: tuple[Region, ...] = ()
    exclusions: tuple[Mark, ...] = ()
    keys: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def tiled(self) -> bool:
        """Whether the model is shown tiles."""
        return self.request.tiles and is_cut_up(self.request.task)

    @property
    def origin(self) -> str:
        """What found the objects, as the table of objects has it."""
        return "examples" if self.request.examples else self.request.task.value

    @property
    def excluded(self) -> NDArray[np.bool_] | None:
        """The exclusions as masks (E, H, W), a click as its pixel alone; None when there are none."""
        return np.stack([_drawn(mark) for mark in self.exclusions]) if self.exclusions else None

    def asked(self, heeds_exclusions: bool) -> Condition:
        """What the model is asked; one that knows no exclusions is asked what lies there, too."""
        if not isinstance(self.condition, VisualPriorCondition) or not self.exclusions:
            return self.condition
        if heeds_exclusions:
            return replace(self.condition, excluded=self.excluded)
        others = [VisualPriorCondition(mark.mask[None], (mark.kind,)) for mark in self.exclusions]
        return VisualPriorCondition.concatenate([self.condition, *others])


def _drawn(mark: Mark) -> NDArray[np.bool_]:
    """The pixels that were marked; the disc around a click is how the model is shown it, and may lie on the object."""
    if mark.kind != "point":
        return mark.mask
    pixels = np.argwhere(mark.mask)
    row, column = pixels[np.square(pixels - pixels.mean(axis=0)).sum(axis=1).argmin()]
    mask = np.zeros_like(mark.mask)
    mask[row, column] = True
    return mask


def ask(viewer: ViewerModel, request: Request, layer: AnnotationLayer | None) -> Question:
    """Make a request definite.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Knows which slice, and which part of it, is shown.
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
    if request.in_view:
        plane = visible_window(viewer, plane)
    seen = plane if request.tiles and is_cut_up(request.task) else reduced(plane)
    if request.refined:
        return _ask_for_object(request, plane, seen, layer)
    if request.task is Task.INTERACTIVE:
        return _ask_for_prompts(request, plane, seen, layer)
    is_sentence = request.task in (Task.REFERRING, Task.GENERALISED_REFERRING)
    condition = SentenceCondition(request.sentence) if is_sentence else _named(request)
    check_task(request.task, condition)
    return Question(request, plane, seen, condition, exclusions=read_prompts(request.prompts, seen).exclusions)


def _named(request: Request) -> CategoryCondition:
    """The class list, or the classes of the examples."""
    if request.examples is None:
        return request.categories.condition()
    if not request.examples:
        raise ConditionError("There is no example: select an object and press Find like selected.")
    return CategoryCondition(request.examples.names)


def _ask_for_prompts(request: Request, plane: ImagePlane, seen: ImagePlane, layer: AnnotationLayer | None) -> Question:
    """Ask for the prompts that have no object yet; for all when the old objects are replaced."""
    prompts = read_regions(request.prompts, seen)
    regions = {_key(seen, region.condition): region for region in prompts.regions}
    if layer is not None and not request.replace:
        answered = {key for key, label_id in layer.answered.items() if key in regions and layer.holds(label_id, plane)}
        regions = {key: region for key, region in regions.items() if key not in answered}
        if not regions:
            raise AnnotationError("Every prompt has its object already: add a prompt, or undo the object.")
    condition = VisualPriorCondition.concatenate([region.condition for region in regions.values()])
    return Question(request, plane, seen, condition, tuple(regions.values()), prompts.exclusions, tuple(regions))


def _ask_for_object(request: Request, plane: ImagePlane, seen: ImagePlane, layer: AnnotationLayer | None) -> Question:
    """Ask with an object of the result as the prompt."""
    mask = seen.sample(request.result) == request.refined if request.result is not None else None
    if layer is None or mask is None or not mask.any():
        raise AnnotationError(
            f"There is no object {request.refined} here to refine: choose one in the table, or with the picker (L)."
        )
    mark = Mark(mask, "mask", f"object {request.refined}", (layer.layer, request.refined))
    prompts = read_prompts(request.prompts, seen)
    marks = (mark, *(drawn for region in prompts.regions for drawn in region.marks))
    condition = VisualPriorCondition(np.logical_or.reduce([drawn.mask for drawn in marks])[None], ("mask",))
    return Question(request, plane, seen, condition, (Region(condition, marks),), prompts.exclusions)


def digest(array: NDArray[Any]) -> bytes:
    """Tells one array from another by its content."""
    hashed = hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data, digest_size=16)
    hashed.update(f"{array.shape}{array.dtype}".encode())
    return hashed.digest()


def in_words(question: Question, parts: Sequence[int]) -> list[str]:
    """What objects answer, given by the part of the question."""
    if question.regions:
        return [question.regions[part].name for part in parts]
    if isinstance(question.condition, SentenceCondition):
        return [question.condition.text for _ in parts]
    like = "like " if question.request.examples else ""
    return [f"{like}{class_of(question, part)}" for part in parts]


def class_of(question: Question, part: int) -> str:
    """The class of what answers a part of the question."""
    request = question.request
    if request.examples:
        return request.examples.names[part]
    if request.task in (Task.INSTANCE, Task.PANOPTIC, Task.SEMANTIC):
        return request.categories.names[part]
    return request.category


def _key(plane: ImagePlane, condition: VisualPriorCondition) -> bytes:
    """Tells a prompt by its pixels and its slice, so that a moved point is a new prompt."""
    return digest(np.packbits(condition.masks)) + repr(plane.slicer).encode()
