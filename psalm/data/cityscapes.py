"""Cityscapes as it is published: street scenes with 19 evaluated classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from psalm.conditions import Task
from psalm.data.class_lists import ClassListReader
from psalm.data.coco_folder import read_map
from psalm.data.layout import Layout, Part
from psalm.data.objects import Objects
from psalm.errors import AnnotationError

HOME = "the Cityscapes website"
# The published label number of each evaluated class; those from 24 on are things.
CLASSES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
_FIRST_THING = 24
_PER_CLASS = 1000  # an instance number is 1000 times its class plus its own; smaller values are classes themselves


def layout(split: str = "val") -> Layout:
    """What `Cityscapes` needs."""
    return Layout(
        "Cityscapes",
        HOME,
        (
            Part(f"leftImg8bit/{split}/*/*_leftImg8bit.png", "photographs, leftImg8bit_trainvaltest.zip"),
            Part(f"gtFine/{split}/*/*_gtFine_instanceIds.png", "fine annotations, gtFine_trainvaltest.zip"),
        ),
    )


class Cityscapes(ClassListReader):
    """The fine annotations, for panoptic, instance and semantic questions.

    Parameters
    ----------
    root : path
        Folder with ``leftImg8bit`` and ``gtFine``.
    split : {"train", "val"}
    names_per_question : int, optional
        See `ClassListReader`.

    Raises
    ------
    AnnotationError
        When a file is missing.
    """

    def __init__(self, root: Path | str, split: str = "train", names_per_question: int | None = None) -> None:
        plan = layout(split)
        plan.require(root)
        numbers = list(CLASSES)
        super().__init__(
            "cityscapes", list(CLASSES.values()), [number >= _FIRST_THING for number in numbers],
            (Task.PANOPTIC, Task.SEMANTIC, Task.INSTANCE), names_per_question,
        )  # fmt: skip
        self._label = {number: i for i, number in enumerate(numbers)}
        self._maps = plan.parts[1].find(Path(root))
        self._photographs = Path(root) / "leftImg8bit" / split
        lost = [path for i, path in enumerate(self._maps) if not self.path(i).exists()]
        if lost:
            raise AnnotationError(f"{len(lost)} annotations, first {lost[0]}, have no photograph: get it from {HOME}.")

    def __len__(self) -> int:
        return len(self._maps)

    def path(self, index: int) -> Path:
        annotation = self._maps[index]
        name = annotation.name.replace("_gtFine_instanceIds.png", "_leftImg8bit.png")
        return self._photographs / annotation.parent.name / name

    def objects(self, index: int) -> Objects:
        values = read_map(self._maps[index])
        masks, labels, crowd = [], [], []
        for value in np.unique(values).tolist():
            number = value // _PER_CLASS if value >= _PER_CLASS else value
            if number in self._label:
                masks.append(values == value)
                labels.append(self._label[number])
                # Things without a number of their own stand so close that nobody told them apart.
                crowd.append(number >= _FIRST_THING and value < _PER_CLASS)
        return Objects.of(np.stack(masks) if masks else np.zeros((0, *values.shape), bool), labels, crowd)
