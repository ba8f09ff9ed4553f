"""Pascal VOC 2012 and Pascal Context as they are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from psalm.conditions import Task
from psalm.data.class_lists import ClassListReader
from psalm.data.coco_folder import read_map
from psalm.data.layout import Layout, Part, read_lines
from psalm.data.objects import Objects, objects_of_map
from psalm.errors import AnnotationError

VOC_HOME = "the PASCAL VOC website, challenge 2012"
CONTEXT_HOME = "the PASCAL-Context website"
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog",
    "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
_BORDER = 255
# Classes that the list of 59 calls otherwise than the list of 459.
_SAME = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}


def voc_layout(split: str = "val") -> Layout:
    """What `PascalVoc` needs."""
    return Layout(
        "Pascal VOC 2012",
        VOC_HOME,
        (
            Part(f"ImageSets/Segmentation/{split}.txt", "names of the images"),
            Part("JPEGImages", "photographs"),
            Part("SegmentationClass", "label maps"),
            Part("SegmentationObject", "maps of the objects"),
        ),
    )


class PascalVoc(ClassListReader):
    """The 20 classes of Pascal VOC 2012, for semantic and instance questions.

    Parameters
    ----------
    root : path
        The folder ``VOCdevkit/VOC2012``.
    split : {"train", "val", "trainval"}
    names_per_question : int, optional
        See `ClassListReader`.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    def __init__(self, root: Path | str, split: str = "train", names_per_question: int | None = None) -> None:
        plan = voc_layout(split)
        plan.require(root)
        things = [True] * len(VOC_CLASSES)
        super().__init__("pascal-voc", VOC_CLASSES, things, (Task.SEMANTIC, Task.INSTANCE), names_per_question)
        self._root = Path(root)
        self._names = read_lines(self._root / plan.parts[0].path)

    def __len__(self) -> int:
        return len(self._names)

    def path(self, index: int) -> Path:
        return self._root / "JPEGImages" / f"{self._names[index]}.jpg"

    def objects(self, index: int) -> Objects:
        classes = read_map(self._root / "SegmentationClass" / f"{self._names[index]}.png")
        numbers = read_map(self._root / "SegmentationObject" / f"{self._names[index]}.png")
        masks, labels = [], []
        for number in np.unique(numbers).tolist():
            if number in (0, _BORDER):
                continue
            mask = numbers == number
            masks.append(mask)
            labels.append(int(np.bincount(classes[mask]).argmax()) - 1)
        return Objects.of(np.stack(masks) if masks else np.zeros((0, *numbers.shape), bool), labels)


def context_layout(classes: int = 59, split: str = "val") -> Layout:
    """What `PascalContext` needs, in the folder ``VOCdevkit/VOC2010``."""
    names = (Part("59_labels.txt", "names of the 59 frequent classes", CONTEXT_HOME),) if classes == 59 else ()
    return Layout(
        "Pascal Context",
        CONTEXT_HOME,
        (
            Part("trainval", "label maps, trainval.tar.gz"),
            Part("labels.txt", "names of the 459 classes"),
            *names,
            Part(f"ImageSets/Main/{split}.txt", "names of the images", "the PASCAL VOC website, challenge 2010"),
            Part("JPEGImages", "photographs", "the PASCAL VOC website, challenge 2010"),
        ),
    )


class PascalContext(ClassListReader):
    """Semantic labels of whole scenes.

    Parameters
    ----------
    root : path
        The folder ``VOCdevkit/VOC2010`` with the ``trainval``, ``labels.txt`` and ``59_labels.txt`` of Pascal Context.
    split : {"train", "val"}
    classes : {59, 459}
        The frequent classes, or all of them.
    names_per_question : int, optional
        See `ClassListReader`.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    def __init__(
        self, root: Path | str, split: str = "train", classes: int = 59, names_per_question: int | None = None
    ) -> None:
        if classes not in (59, 459):
            raise AnnotationError(f"Pascal Context has 59 or 459 classes, not {classes}: choose one of them.")
        context_layout(classes, split).require(root)
        self._root = Path(root)
        numbers = read_names(self._root / "labels.txt")
        wanted = read_names(self._root / "59_labels.txt") if classes == 59 else numbers
        unknown = [name for name in wanted if _SAME.get(name, name) not in numbers and name not in numbers]
        if unknown:
            raise AnnotationError(f"59_labels.txt names {unknown[0]}, which labels.txt does not: get both files again.")
        things = [True] * len(wanted)
        super().__init__(f"pascal-context-{classes}", list(wanted), things, (Task.SEMANTIC,), names_per_question)
        self._label_of = {
            numbers[name if name in numbers else _SAME[name]]: place for place, name in enumerate(wanted)
        }  # fmt: skip
        listed = read_lines(self._root / f"ImageSets/Main/{split}.txt")
        self._names = [name for name in listed if (self._root / "trainval" / f"{name}.mat").exists()]
        if not self._names:
            raise AnnotationError(
                f"No image of the split {split!r} has a map in {root}/trainval: get {CONTEXT_HOME}'s."
            )

    def __len__(self) -> int:
        return len(self._names)

    def path(self, index: int) -> Path:
        return self._root / "JPEGImages" / f"{self._names[index]}.jpg"

    def objects(self, index: int) -> Objects:
        return objects_of_map(read_label_mat(self._root / "trainval" / f"{self._names[index]}.mat"), self._label_of)


def read_names(path: Path) -> dict[str, int]:
    """Numbers by name from a list with lines like ``18: background``."""
    numbers = {}
    for line in read_lines(path):
        number, colon, name = line.partition(":")
        if not colon or not number.strip().isdigit():
            raise AnnotationError(f"{path}: the line {line!r} is not 'number: name': get the published file.")
        numbers[name.strip()] = int(number)
    return numbers


def read_label_mat(path: Path) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The label numbers (H, W) of a MATLAB file of Pascal Context.

    Raises
    ------
    AnnotationError
        When the file cannot be read or has no label map.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:  # a damaged file raises whatever its broken headers meet
        raise AnnotationError(f"The label map {path} cannot be read ({error}): get it again.") from error
    if "LabelMap" not in content:
        raise AnnotationError(f"{path} has no LabelMap: get the published file.")
    return np.asarray(content["LabelMap"], dtype=np.int64)
