"""Generated scenes: named shapes in named colours, and fields of cells as a microscope shows them."""

from __future__ import annotations

import numpy as np

from psalm.conditions import Task
from psalm.data.fields import FIELD_NAMES, draw_field
from psalm.data.labelled import LabelledImage
from psalm.data.questions import ask
from psalm.data.sample import Sample
from psalm.data.shape_scenes import draw_shapes
from psalm.data.shapes import SHAPES
from psalm.errors import AnnotationError

_VERSION = 1
_FIELD_EVERY = 3
# Names that people use for one another, so that neither can be called absent where the other is. Other objects of
# fields look alike too, but a list that holds both is answered by the better one.
_ALIKE = ({"cell", "nucleus"}, {"cell", "red blood cell"}, {"cell", "bacterium"})
_ELSEWHERE = ("car", "cat", "person", "tree", "building", "elephant", "balloon", "bottle", "window", "coin", "cup")


class SceneSamples:
    """Questions about generated scenes; nothing is stored, and a scene is the same whenever it is drawn.

    Parameters
    ----------
    count : int
        How many scenes; every third is a microscopy field.
    seed : int
        Scenes of different seeds are different.
    size : (height, width)
        Pixels.
    field : str, optional
        Every scene is a field of this: ``"coin"`` or one of `psalm.data.fields.FIELD_NAMES`.
    sentence_lists : float
        Share of the instance questions that list sentences instead of names; see `psalm.data.questions.ask`.

    Raises
    ------
    AnnotationError
        When there would be no scene or it would be too small to show an object.
    """

    def __init__(
        self,
        count: int,
        seed: int = 0,
        size: tuple[int, int] = (320, 448),
        field: str | None = None,
        sentence_lists: float = 0.0,
    ) -> None:
        if count < 1 or min(size) < 64:
            raise AnnotationError(f"{count} scenes of {size} pixels: ask for at least one of at least 64 x 64 pixels.")
        self._count, self._seed, self._size, self._field = count, seed, size, field
        self.sentence_lists = sentence_lists

    def __len__(self) -> int:
        return self._count

    @property
    def sources(self) -> list[str]:
        """``"shapes"`` or ``"fields"`` per scene, or the name of the only field."""
        return [self._source(index) for index in range(self._count)]

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Sample:
        """A question about scene `index`; `rng` chooses the question, another `variant` is another scene."""
        return ask(self.labelled(index, variant), rng, task, self.sentence_lists)

    def labelled(self, index: int, variant: int = 0) -> LabelledImage:
        """The scene with its objects, before anything is asked."""
        if not 0 <= index < self._count:
            raise IndexError(f"There is no scene {index}: there are {self._count}.")
        rng = np.random.default_rng([self._seed, index, variant])
        kind = f"-{self._field}" if self._field else ""
        key = f"scene-{_VERSION}-{self._seed}-{index}-{variant}-{self._size[0]}x{self._size[1]}{kind}"
        if self._source(index) != "shapes":
            image, things, masks = draw_field(self._size, rng, self._field)
            known = _unlike(things[0].name)
        else:
            image, things, masks = draw_shapes(self._size, rng)
            known = (*SHAPES, "cell", "nucleus", "bacterium", *_ELSEWHERE)
        present = {thing.name for thing in things}
        absent = tuple(name for name in known if name not in present)
        return LabelledImage(
            image,
            tuple(things),
            lambda positions: masks[np.asarray(positions, dtype=np.int64)],
            absent,
            source=self._source(index),
            key=key,
        )

    def _source(self, index: int) -> str:
        return self._field or ("fields" if index % _FIELD_EVERY == _FIELD_EVERY - 1 else "shapes")


def _unlike(name: str) -> tuple[str, ...]:
    """Names that nobody would give to what a field of `name` shows."""
    alike = {other for group in _ALIKE if name in group for other in group}
    return tuple(other for other in (*FIELD_NAMES, *_ELSEWHERE) if other not in alike)
