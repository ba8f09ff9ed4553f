"""ADE20K as the scene parsing challenge of 2016 publishes it: 150 classes."""

from __future__ import annotations

from pathlib import Path

from psalm.conditions import Task
from psalm.data.class_lists import ClassListReader
from psalm.data.coco_folder import read_map
from psalm.data.layout import Layout, Part, read_lines
from psalm.data.objects import Objects, objects_of_map
from psalm.errors import AnnotationError

HOME = "the MIT scene parsing benchmark, ADEChallengeData2016"
_FOLDER = {"train": "training", "val": "validation"}


def layout(split: str = "val") -> Layout:
    """What `Ade20k` needs."""
    return Layout(
        "ADE20K",
        HOME,
        (
            Part("objectInfo150.txt", "names of the classes"),
            Part(f"images/{_FOLDER[split]}", "photographs"),
            Part(f"annotations/{_FOLDER[split]}", "label maps"),
        ),
    )


class Ade20k(ClassListReader):
    """Semantic labels of ADE20K; synonyms of a class are part of its name, as its list has them.

    Parameters
    ----------
    root : path
        The folder ``ADEChallengeData2016``.
    split : {"train", "val"}
    names_per_question : int, optional
        See `ClassListReader`.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    def __init__(self, root: Path | str, split: str = "train", names_per_question: int | None = None) -> None:
        layout(split).require(root)
        names, stuff = read_classes(Path(root) / "objectInfo150.txt")
        super().__init__("ade20k", names, [not flag for flag in stuff], (Task.SEMANTIC,), names_per_question)
        self._photographs = Path(root) / "images" / _FOLDER[split]
        self._maps = sorted((Path(root) / "annotations" / _FOLDER[split]).glob("*.png"))
        if not self._maps:
            raise AnnotationError(f"ADE20K has no label map in annotations/{_FOLDER[split]}: get it from {HOME}.")
        self._label_of = {number + 1: number for number in range(len(names))}

    def __len__(self) -> int:
        return len(self._maps)

    def path(self, index: int) -> Path:
        return self._photographs / f"{self._maps[index].stem}.jpg"

    def objects(self, index: int) -> Objects:
        return objects_of_map(read_map(self._maps[index]), self._label_of)


def read_classes(path: Path) -> tuple[list[str], list[bool]]:
    """Names of the classes, and whether each is stuff, from the challenge's table.

    Raises
    ------
    AnnotationError
        When the table is not the published one.
    """
    names, stuff = [], []
    for line in read_lines(path)[1:]:
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < 6:
            raise AnnotationError(f"{path}: the line {line!r} has no six columns with tabs: get the published file.")
        names.append(cells[5])
        stuff.append(cells[4] == "1")
    return names, stuff
