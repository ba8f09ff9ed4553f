"""The answer to a question, shown in a layer of its own until it is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.answering import Answer
from napari_psalm.core.deciding import Found, decide, to_labels
from napari_psalm.core.limits import ClassLimits
from napari_psalm.core.object_colours import object_colormap
from napari_psalm.core.object_facts import FoundObject
from napari_psalm.core.preview_layer import PreviewLayer
from napari_psalm.core.provenance import facts_of
from napari_psalm.core.questions import Question

if TYPE_CHECKING:
    from napari.layers import Labels


class Preview:
    """Objects that are not accepted yet, in a Labels layer over the part of the image that was looked at.

    Parameters
    ----------
    shown_in : PreviewLayer
        The layer of the window.
    question : Question
        What was asked.
    answer : Answer
        What came of it.
    """

    def __init__(self, shown_in: PreviewLayer, question: Question, answer: Answer) -> None:
        self._shown_in = shown_in
        self.question, self.answer = question, answer
        self.found: list[Found] = answer.found
        self.limits: ClassLimits = answer.limits
        self.labels: NDArray[np.uint32] = answer.labels
        self.layer: Labels = shown_in.take(question)
        self._draw()
        shown_in.show(self.layer, question)

    @property
    def objects(self) -> list[FoundObject]:
        """What is known of the objects, in the order of their ids."""
        return facts_of(self.question, self.found)

    def redraw(self, limits: ClassLimits) -> None:
        """Show what meets other limits; the model is not asked."""
        self.limits = limits
        self.found = decide(self.answer.kept, limits)
        self.labels = to_labels(self.found, self.answer.kept.shape)
        self._draw()
        self.layer.refresh(extent=False)

    def remove(self) -> None:
        """Hide the layer."""
        self._shown_in.hide()

    def _draw(self) -> None:
        import pandas as pd

        axes = self.question.seen.axes
        pixels = self.labels if axes[0] < axes[1] else self.labels.T
        self.layer.data.reshape(pixels.shape)[...] = pixels
        objects = self.objects
        self.layer.colormap = object_colormap(dict(enumerate(objects, start=1)), self.question.request.categories)
        self.layer.features = pd.DataFrame(
            {
                "index": range(1, len(objects) + 1),
                "class": [found.category for found in objects],
                "score": [round(found.score, 3) for found in objects],
            }
        )
