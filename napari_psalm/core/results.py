"""Answers written into Labels layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_psalm.core.annotation_layers import AnnotationLayer, Painted, new_annotation_layer
from napari_psalm.core.answering import Answer
from napari_psalm.core.image_planes import ImagePlane
from napari_psalm.core.placing import place
from napari_psalm.core.provenance import recorded_facts
from napari_psalm.core.questions import Question, Request

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer


@dataclass(frozen=True)
class Written:
    """What writing an answer did: the layer, and a word for the status line; `good` when objects came."""

    labels: Labels
    text: str
    level: str


class Results:
    """The Labels layers of a session, each with the record of its objects.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layers: list[AnnotationLayer] = []

    def of(self, labels: Labels) -> AnnotationLayer:
        """The record of objects that belongs to a Labels layer.

        Raises
        ------
        AnnotationError
            When the layer cannot be edited.
        """
        for layer in self._layers:
            if layer.layer is labels:
                return layer
        self._layers.append(AnnotationLayer(labels))
        return self._layers[-1]

    def adopt(self, layer: AnnotationLayer) -> None:
        """Go on with the record that somebody else made of a Labels layer."""
        self.forget(layer.layer)
        self._layers.append(layer)

    def forget(self, labels: Layer) -> None:
        """Let go of a layer that was removed."""
        for layer in [layer for layer in self._layers if layer.layer is labels]:
            layer.close()
            self._layers.remove(layer)

    def close(self) -> None:
        """Let go of all layers."""
        for layer in self._layers:
            layer.close()
        self._layers.clear()

    def write(self, question: Question, answer: Answer) -> Written:
        """Write the objects of an answer as one step of the undo history.

        Raises
        ------
        AnnotationError
            When the layer is protected or cannot hold them.
        """
        request, plane = question.request, question.plane
        layer = self._layer_for(request, plane)
        replaced = {request.refined} if request.refined else set()
        if request.replace and not request.refined:
            replaced = _wholly_inside(layer.ids_of_task(question.origin, plane), layer, plane)
        target, pixels = place(answer.labels, question.seen, plane, everywhere=bool(replaced))
        painted = layer.paint(target, pixels, recorded_facts(question, answer), replaced)
        layer.recolour(request.categories)
        if question.keys:
            answered = zip(answer.found, painted.ids, strict=True)
            layer.answered.update({question.keys[one.part]: n for one, n in answered if n})
        layer.note(categories=request.categories.to_records())
        return Written(layer.layer, *_summary(painted, len(replaced)))

    def _layer_for(self, request: Request, plane: ImagePlane) -> AnnotationLayer:
        if request.result is not None and request.result in self._viewer.layers:
            return self.of(request.result)
        active = self._viewer.layers.selection.active
        labels = new_annotation_layer(self._viewer, plane)
        drawing = active is not None and active in request.prompts.chosen
        self._viewer.layers.selection.active = active if drawing else labels
        return self.of(labels)


def _wholly_inside(ids: set[int], layer: AnnotationLayer, plane: ImagePlane) -> set[int]:
    """Those objects that do not reach out of a window; the others would lose a part only."""

    def fits(label_id: int) -> bool:
        box = layer.index.box(label_id)
        spans = zip(plane.axes, plane.extent, strict=True)
        return all(part.start <= box[axis].start and box[axis].stop <= part.stop for axis, part in spans)

    return ids if plane.window is None else {label_id for label_id in ids if fits(label_id)}


def count(number: int) -> str:
    """So many objects, in words."""
    return f"{number} object{'' if number == 1 else 's'}"


def _summary(painted: Painted, replaced: int) -> tuple[str, str]:
    if not painted.ids:
        return "Nothing found: try other words or lower the score.", "problem"
    if not painted.added and not replaced:
        return "What was found is there already. To redo it, set Earlier objects to Replace.", "info"
    text = f"{count(painted.added)} added"
    text += f", {replaced} replaced" if replaced else ""
    text += f", {painted.covered} already there" if painted.covered else ""
    return f"{text}.", "good"
