"""Questions about the labelled images of a COCO file."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from psalm.coco import ImageEntry
from psalm.conditions import Task
from psalm.data.augmentation import Augmentation, Box, draw_augmentation
from psalm.data.labelled import LabelledImage
from psalm.data.negatives import Negatives
from psalm.data.questions import ask
from psalm.data.referring import Thing
from psalm.data.sample import Sample
from psalm.errors import AnnotationError
from psalm.images import read_image, to_rgb8

_LEAST_PIXELS = 12
_TURNABLE = frozenset({"microscopy", "aerial"})


class CocoSamples:
    """Questions about the images of a COCO instances file.

    Beside what COCO knows, an image may say its ``source``, ``split``, ``domain`` and ``exhaustive`` (false: not every
    object of its names is labelled), a category ``isthing``. Images without objects are left out.

    Parameters
    ----------
    annotations : Path
        The COCO file.
    images : Path
        Folder that its file names start from.
    split : str, optional
        Keep the images of this split; None keeps all. An image that names no split belongs to ``"train"``.
    refs : Path, optional
        Referring expressions: a list of {image_id, ann_ids, sentences}.
    per_source : int, optional
        Keep at most so many images of each source, spread over its list; all when not given.
    only_referred : bool
        Keep the images that a referring expression speaks of, and no others.
    only_sources : sequence of str, optional
        Keep the images of these sources, and no others.
    copies : int
        So many copies of every image stand in the list: the image itself, then windows of it and other changed copies
        (see `psalm.data.augmentation`). For stages that describe every image once.
    sentence_lists : float
        Share of the instance questions that list sentences instead of names; see `psalm.data.questions.ask`.

    Raises
    ------
    AnnotationError
        When a file is not what it should be, a file name leaves the folder, or no image is left.
    """

    def __init__(
        self,
        annotations: Path | str,
        images: Path | str,
        split: str | None = "train",
        refs: Path | str | None = None,
        per_source: int | None = None,
        sentence_lists: float = 0.0,
        only_referred: bool = False,
        only_sources: Sequence[str] | None = None,
        copies: int = 1,
    ) -> None:
        self.sentence_lists = sentence_lists
        self._copies = max(copies, 1)
        content = _read_json(annotations, "annotations")
        self._folder = Path(images)
        self._categories = {category["id"]: category for category in content["categories"]}
        self._annotations, self._crowds = self._by_image(content["annotations"])
        self._images = [
            image
            for image in content["images"]
            if split in (None, image.get("split", "train")) and image["id"] in self._annotations
        ]
        self._refs: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for ref in _read_json(refs, "referring expressions") if refs is not None else ():
            self._refs[ref["image_id"]].append(ref)
        if only_referred:
            self._images = [image for image in self._images if image["id"] in self._refs]
        if only_sources is not None:
            self._images = [image for image in self._images if _source(image) in only_sources]
        if per_source is not None:
            self._images = _thinned(self._images, per_source)
        if not self._images:
            of_sources = f" of the sources {', '.join(only_sources)}" if only_sources is not None else ""
            spoken_of = " that a referring expression speaks of" if only_referred else ""
            cure = "name another split" if only_sources is None else "name other sources or another split"
            raise AnnotationError(
                f"{annotations} has no labelled image in the split {split!r}{of_sources}{spoken_of}: {cure}."
            )
        self._images = [image for image in self._images for _ in range(self._copies)]
        # Checked before anything is opened: a name may not lead out of the folder.
        self._paths = [
            ImageEntry(image["id"], image["file_name"], image["height"], image["width"]).path(self._folder)
            for image in self._images
        ]
        self._stuff = frozenset(c["name"] for c in self._categories.values() if not c.get("isthing", 1))
        self._negatives = self._absent_names(content["images"])

    def __len__(self) -> int:
        return len(self._images)

    @property
    def sources(self) -> list[str]:
        """The source of each image."""
        return [_source(image) for image in self._images]

    @property
    def image_ids(self) -> list[int]:
        """The COCO id of each image."""
        return [image["id"] for image in self._images]

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Sample:
        """A question about image `index`.

        Parameters
        ----------
        index : int
        rng : numpy.random.Generator
            Chooses the question.
        task : Task, optional
            By chance when not given.
        variant : int
            Which changed copy of the image to ask about; 0 is the image itself. The copy depends on the file and this
            number alone.
        """
        return ask(self.labelled(index, variant), rng, task, self.sentence_lists)

    def image(self, index: int, variant: int = 0) -> tuple[NDArray[np.uint8], str]:
        """The (H, W, 3) RGB image that `sample` asks about, and its key."""
        labelled = self.labelled(index, variant)
        return labelled.image, labelled.key

    def labelled(self, index: int, variant: int = 0) -> LabelledImage:
        """The image with its objects, before anything is asked."""
        variant = variant or index % self._copies
        record = self._images[index]
        path = self._paths[index]
        pixels = to_rgb8(read_image(path))
        shape = (record["height"], record["width"])
        if pixels.shape[:2] != shape:
            raise AnnotationError(
                f"{path} has {pixels.shape[:2]} pixels, its annotations say {shape}: correct the file."
            )
        annotations = self._annotations[record["id"]]
        upright = record.get("domain", "natural") not in _TURNABLE
        boxes = [_box(annotation) for annotation in annotations]
        copy = draw_augmentation(record["file_name"], variant, shape, boxes, upright)
        objects = _Objects(annotations, self._names(annotations), shape, copy)
        names = {thing.name for thing in objects.things} | objects.traces | self._crowds[record["id"]]
        return LabelledImage(
            image=copy.image(pixels) if variant else pixels,
            things=objects.things,
            decode=objects.decode,
            absent=self._negatives.of(_source(record), names),
            stuff=self._stuff,
            exhaustive=bool(record.get("exhaustive", True)),
            incomplete=self._crowds[record["id"]],
            source=_source(record),
            key=_key(path, copy),
            expressions=self._expressions(record["id"], annotations) if variant == 0 else (),
            rivals=self._negatives.rivals(_source(record), names),
            unchecked=self._negatives.unchecked(_source(record), names),
        )

    def _by_image(
        self, annotations: list[dict[str, Any]]
    ) -> tuple[dict[int, list[dict[str, Any]]], dict[int, frozenset[str]]]:
        objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
        crowds: dict[int, frozenset[str]] = defaultdict(frozenset)
        for annotation in annotations:
            if annotation.get("iscrowd"):
                crowds[annotation["image_id"]] |= {self._categories[annotation["category_id"]]["name"]}
            elif annotation["area"] >= 1:
                objects[annotation["image_id"]].append(annotation)
        return dict(objects), crowds

    def _absent_names(self, images: list[dict[str, Any]]) -> Negatives:
        names_of: dict[str, set[str]] = defaultdict(set)
        domain_of = {_source(image): image.get("domain", "natural") for image in images}
        for image in images:
            names_of[_source(image)].update(self._names(self._annotations.get(image["id"], ())))
        return Negatives(names_of, domain_of)

    def _names(self, annotations: Sequence[dict[str, Any]]) -> list[str]:
        return [self._categories[annotation["category_id"]]["name"] for annotation in annotations]

    def _expressions(self, image_id: int, annotations: list[dict[str, Any]]) -> tuple[tuple[str, tuple[int, ...]], ...]:
        position = {annotation["id"]: i for i, annotation in enumerate(annotations)}
        return tuple(
            (sentence, tuple(position[ann_id] for ann_id in ref["ann_ids"]))
            for ref in self._refs.get(image_id, ())
            if all(ann_id in position for ann_id in ref["ann_ids"])
            for sentence in ref["sentences"]
        )


class _Objects:
    """The objects of one copy of an image, kept as run lengths until their masks are asked for."""

    def __init__(
        self, annotations: Sequence[dict[str, Any]], names: Sequence[str], shape: tuple[int, int], copy: Augmentation
    ) -> None:
        self._shape, self._copy = shape, copy
        self._runs: list[dict[str, Any]] = []
        self.traces: set[str] = set()
        things: list[Thing] = []
        whole = copy.window == (0, 0, *shape)
        for annotation, name in zip(annotations, names, strict=True):
            runs, box, area = self._seen(annotation, whole)
            if area >= min(_LEAST_PIXELS, annotation["area"]):
                self._runs.append(runs)
                things.append(Thing(name, copy.box(box), area))
            elif area > 0:
                self.traces.add(name)
        self.things = tuple(things)

    def decode(self, positions: Sequence[int]) -> NDArray[np.bool_]:
        """Masks (N, H, W) of the things at `positions`."""
        if not len(positions):
            return np.zeros((0, *self._copy.shape), dtype=bool)
        stacked = coco_mask.decode([self._runs[i] for i in positions])
        masks = np.moveaxis(stacked, -1, 0).view(np.bool_)
        return masks if self._copy == Augmentation((0, 0, *self._shape)) else self._copy.masks(masks)

    def _seen(self, annotation: dict[str, Any], whole: bool) -> tuple[dict[str, Any], Box, float]:
        """Run lengths, box and area of the part inside the window."""
        r0, c0, r1, c1 = self._copy.window
        top, left, bottom, right = box = _box(annotation)
        if not whole and (bottom <= r0 or top >= r1 or right <= c0 or left >= c1):
            return {}, box, 0.0
        runs = _run_lengths(annotation["segmentation"], self._shape)
        if whole or (top >= r0 and left >= c0 and bottom <= r1 and right <= c1):
            return runs, box, float(annotation["area"])
        frame = coco_mask.frPyObjects(np.array([[c0, r0, c1 - c0, r1 - r0]], dtype=np.float64), *self._shape)[0]
        seen = coco_mask.merge([runs, frame], intersect=True)
        column, row, width, height = coco_mask.toBbox(seen)
        return runs, (row, column, row + height, column + width), float(coco_mask.area(seen))


def _run_lengths(segmentation: Any, shape: tuple[int, int]) -> dict[str, Any]:
    """Compressed run lengths of a COCO segmentation: polygons, counts as a list, or counts as text."""
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, *shape))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, *shape)
    return segmentation


def _box(annotation: dict[str, Any]) -> Box:
    column, row, width, height = annotation["bbox"]
    return row, column, row + height, column + width


def _thinned(images: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most `most` images of each source, evenly spread."""
    by_source: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in images:
        by_source[_source(image)].append(image)
    return [
        group[i]
        for group in by_source.values()
        for i in sorted(set(np.linspace(0, len(group) - 1, min(most, len(group))).round().astype(int).tolist()))
    ]


def _source(image: dict[str, Any]) -> str:
    return str(image.get("source", ""))


def _key(path: Path, copy: Augmentation) -> str:
    return hashlib.blake2b(path.read_bytes() + repr(copy).encode(), digest_size=16).hexdigest()


def _read_json(path: Path | str, what: str) -> Any:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(f"The {what} in {path} cannot be read ({error}): give a COCO JSON file.") from error
    return content
