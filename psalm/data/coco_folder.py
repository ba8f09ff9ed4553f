"""COCO 2017 as it is published: panoptic, instance and semantic labels of the same photographs."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from psalm.coco.rle import decode_segmentation
from psalm.conditions import Task
from psalm.data.class_lists import ClassListReader
from psalm.data.layout import Layout, Part, inside, read_json
from psalm.data.objects import Objects
from psalm.errors import AnnotationError, ImageError

HOME = "the COCO website, Download, 2017"


def instances_layout(split: str = "val") -> Layout:
    """What `CocoInstances` needs."""
    annotations = Part(f"annotations/instances_{split}2017.json", "instance annotations")
    return Layout("COCO instances", HOME, (annotations, Part(f"{split}2017", "photographs")))


def panoptic_layout(split: str = "val") -> Layout:
    """What `CocoPanoptic` and `CocoSemantic` need."""
    return Layout(
        "COCO panoptic",
        HOME,
        (
            Part(f"annotations/panoptic_{split}2017.json", "panoptic annotations"),
            Part(f"panoptic_{split}2017", "panoptic maps, unpacked from the zip file beside the annotations"),
            Part(f"{split}2017", "photographs"),
        ),
    )


class CocoInstances(ClassListReader):
    """The instance annotations of COCO 2017.

    Parameters
    ----------
    root : path
        Folder with ``annotations``, ``train2017`` and ``val2017``.
    split : {"train", "val"}
    names_per_question : int, optional
        See `ClassListReader`.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    def __init__(self, root: Path | str, split: str = "train", names_per_question: int | None = None) -> None:
        instances_layout(split).require(root)
        content = read_json(Path(root) / f"annotations/instances_{split}2017.json", dict)
        categories = content["categories"]
        super().__init__(
            "coco-instances", [c["name"] for c in categories], [True] * len(categories), (Task.INSTANCE,),
            names_per_question,
        )  # fmt: skip
        self._label = {category["id"]: i for i, category in enumerate(categories)}
        self._folder = Path(root) / f"{split}2017"
        self._annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            self._annotations[annotation["image_id"]].append(annotation)
        # The published evaluation runs over every image, also over those without an object.
        self._images = [image for image in content["images"] if split == "val" or image["id"] in self._annotations]

    def __len__(self) -> int:
        return len(self._images)

    def path(self, index: int) -> Path:
        return inside(self._folder, self._images[index]["file_name"])

    def objects(self, index: int) -> Objects:
        record = self._images[index]
        found = self._annotations.get(record["id"], [])
        return Objects.of(
            decode_all(found, (record["height"], record["width"])),
            [self._label[annotation["category_id"]] for annotation in found],
            [bool(annotation.get("iscrowd")) for annotation in found],
        )

    def areas(self, index: int) -> list[float]:
        """The area that the file states per object, by which COCO tells small, medium and large ones apart."""
        return [float(annotation["area"]) for annotation in self._annotations.get(self._images[index]["id"], [])]


class CocoPanoptic(ClassListReader):
    """The panoptic annotations of COCO 2017.

    Parameters
    ----------
    root : path
        Folder with ``annotations``, ``panoptic_train2017``, ``panoptic_val2017``, ``train2017`` and ``val2017``.
    split : {"train", "val"}
    names_per_question : int, optional
        See `ClassListReader`.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    _tasks: tuple[Task, ...] = (Task.PANOPTIC, Task.SEMANTIC, Task.INSTANCE)
    _source = "coco-panoptic"

    def __init__(self, root: Path | str, split: str = "train", names_per_question: int | None = None) -> None:
        panoptic_layout(split).require(root)
        content = read_json(Path(root) / f"annotations/panoptic_{split}2017.json", dict)
        categories = content["categories"]
        names = [category["name"] for category in categories]
        things = [bool(category["isthing"]) for category in categories]
        super().__init__(self._source, names, things, self._tasks, names_per_question)
        self._label = {category["id"]: i for i, category in enumerate(categories)}
        self._folder, self._maps = Path(root) / f"{split}2017", Path(root) / f"panoptic_{split}2017"
        self._annotations = content["annotations"]
        self._file_name = {image["id"]: image["file_name"] for image in content["images"]}

    def __len__(self) -> int:
        return len(self._annotations)

    def path(self, index: int) -> Path:
        return inside(self._folder, self._file_name[self._annotations[index]["image_id"]])

    def objects(self, index: int) -> Objects:
        annotation = self._annotations[index]
        numbers = read_panoptic_png(inside(self._maps, annotation["file_name"]))
        segments = annotation["segments_info"]
        masks = [numbers == segment["id"] for segment in segments]
        return Objects.of(
            np.stack(masks) if masks else np.zeros((0, *numbers.shape), bool),
            [self._label[segment["category_id"]] for segment in segments],
            [bool(segment.get("iscrowd")) for segment in segments],
        )


class CocoSemantic(CocoPanoptic):
    """The semantic labels that follow from COCO's panoptic ones: a class per pixel, things and stuff alike."""

    _tasks = (Task.SEMANTIC,)
    _source = "coco-semantic"


def read_panoptic_png(path: Path) -> NDArray[np.int64]:
    """The segment number of each pixel (H, W), which the colours of a panoptic PNG encode; 0 is unlabelled.

    Raises
    ------
    AnnotationError
        When the file is missing or damaged.
    """
    try:
        with Image.open(path) as file:
            colours = np.asarray(file.convert("RGB"), dtype=np.int64)
    except (OSError, ValueError, SyntaxError) as error:
        raise AnnotationError(f"The panoptic map {path} cannot be read ({error}): get it again.") from error
    return colours[..., 0] + 256 * colours[..., 1] + 256**2 * colours[..., 2]


def read_map(path: Path) -> NDArray[np.int64]:
    """The values of a label map (H, W) in an image file; a palette's colours are left aside.

    Raises
    ------
    ImageError
        When the file is missing, damaged, or has colours instead of values.
    """
    try:
        with Image.open(path) as file:
            values = np.asarray(file)
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"The label map {path} cannot be read ({error}): get it again.") from error
    if values.ndim != 2:
        raise ImageError(f"The label map {path} has colours instead of one value per pixel: get the published file.")
    return values.astype(np.int64)


def decode_all(annotations: list[dict[str, Any]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The masks (N, H, W) of COCO annotations of one image."""
    masks = np.zeros((len(annotations), *size), dtype=bool)
    for mask, annotation in zip(masks, annotations, strict=True):
        mask[:] = decode_segmentation(annotation["segmentation"], size)
    return masks
