"""COCO-Interactive: one prompt of each of four kinds for every object of COCO (PSALM, section 4.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from psalm.coco.rle import decode_segmentation, encode_mask
from psalm.conditions import RegionKind, Task, VisualPriorCondition
from psalm.data.interactive_prompts import draw_prompts
from psalm.data.layout import Layout, Part, image_key, inside, read_json
from psalm.data.sample import Sample
from psalm.errors import AnnotationError
from psalm.files import replacing
from psalm.images import read_image, to_rgb8

HOME = "the PSALM repository (zamling/PSALM), or make it with: psalm data interactive"
KINDS: tuple[RegionKind, ...] = get_args(RegionKind)
_SUFFIX = "_visual_prompt_mask"

Progress = Callable[[int, int], None]


def layout(split: str = "val") -> Layout:
    """What `CocoInteractive` needs."""
    parts = (
        Part(f"coco_interactive_{split}_psalm.json", "objects with their prompts"),
        Part(f"{split}2017", "photographs", "the COCO website, Download, 2017"),
    )
    return Layout("COCO-Interactive", HOME, parts)


def write_interactive(instances: Path | str, out: Path | str, seed: int = 0, progress: Progress | None = None) -> int:
    """Make the file from a COCO instances file; returns the number of objects.

    The prompts of an object depend on the seed and the object's id alone, so that a part of a file has the prompts that
    the whole has.

    Parameters
    ----------
    instances : path
        ``instances_train2017.json``, ``instances_val2017.json`` or any other COCO instances file.
    out : path
        The file, in the published format: a list with a record per image that has objects.
    seed : int
    progress : callable, optional
        Called with the number of images done and of all images.

    Raises
    ------
    AnnotationError
        When the instances cannot be read.
    OutputError
        When the file cannot be written.
    """
    content = read_json(instances, dict)
    count = 0
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, record in enumerate(_records(content, seed, progress)):
            file.write(",\n" if number else "\n")
            json.dump(record | {"new_img_id": number}, file, allow_nan=False)
            count += len(record["anns"])
        file.write("\n]\n")
    return count


def _records(content: dict[str, Any], seed: int, progress: Progress | None) -> Iterator[dict[str, Any]]:
    by_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in content["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    for done, image in enumerate(content["images"]):
        if progress:
            progress(done, len(content["images"]))
        if image["id"] in by_image:
            anns = [_with_prompts(a, (image["height"], image["width"]), seed) for a in by_image[image["id"]]]
            yield {"image": image["file_name"], "image_info": image, "anns": anns}
    if progress:
        progress(len(content["images"]), len(content["images"]))


def _with_prompts(annotation: dict[str, Any], size: tuple[int, int], seed: int) -> dict[str, Any]:
    mask = decode_segmentation(annotation["segmentation"], size)
    prompts = draw_prompts(mask, np.random.default_rng([seed, annotation["id"]]))
    return annotation | {f"{kind}{_SUFFIX}": encode_mask(prompts[kind]) for kind in KINDS}


class CocoInteractive:
    """The published file, or one that `write_interactive` made.

    A sample asks for the objects of an image, each by a prompt of a kind drawn by chance among those that it has.

    Parameters
    ----------
    root : path
        Folder with the file, ``train2017`` and ``val2017``.
    split : {"train", "val"}
    file : path, optional
        The file with the prompts; ``coco_interactive_<split>_psalm.json`` in `root` when not given.
    most_regions : int, optional
        A sample asks for at most so many objects of its image, drawn by chance; all when not given.
    point_radius, scribble_radius : float
        Each pixel of a point or scribble becomes a disc; the published values.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        file: Path | str | None = None,
        most_regions: int | None = None,
        point_radius: float = 10.0,
        scribble_radius: float = 5.0,
    ) -> None:
        plan = layout(split)
        wanted = plan if file is None else Layout(plan.name, plan.home, plan.parts[1:])
        wanted.require(root)
        path = Path(file) if file else Path(root) / plan.parts[0].path
        self._folder = Path(root) / f"{split}2017"
        self._most_regions = most_regions
        self._radius = {"point": point_radius, "scribble": scribble_radius}
        checked = (_checked(record, path) for record in read_json(path, list))
        self._records = [record for record in checked if any(map(_kinds_of, record["anns"]))]
        if not self._records:
            raise AnnotationError(f"{path} holds no object with a prompt: make it anew with psalm data interactive.")

    def __len__(self) -> int:
        return len(self._records)

    @property
    def sources(self) -> list[str]:
        """The source of each image."""
        return ["coco-interactive"] * len(self)

    def path(self, index: int) -> Path:
        """The photograph of record `index`."""
        return inside(self._folder, self._records[index]["image"])

    def image(self, index: int) -> NDArray[np.uint8]:
        """The photograph of record `index` as (H, W, 3) RGB."""
        return to_rgb8(read_image(self.path(index)))

    def masks(self, index: int) -> NDArray[np.bool_]:
        """The objects (N, H, W) of record `index`."""
        size = self._size(index)
        found = [decode_segmentation(a["segmentation"], size) for a in self._records[index]["anns"]]
        return np.stack(found) if found else np.zeros((0, *size), bool)

    def prompts(self, index: int, kind: RegionKind) -> NDArray[np.bool_]:
        """The regions (N, H, W) of one kind for record `index`, as the model sees them; empty where there is none."""
        size = self._size(index)
        regions = np.zeros((len(self._records[index]["anns"]), *size), dtype=bool)
        for position, region in enumerate(regions):
            region[:] = self._region(index, position, kind)
        return regions

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Sample:
        """The objects of image `index` as a question; see `psalm.data.mixture.Samples`."""
        if task not in (None, Task.INTERACTIVE):
            raise AnnotationError(f"coco-interactive only serves the task interactive, not {task}: set its tasks.")
        there = [_kinds_of(annotation) for annotation in self._records[index]["anns"]]
        chosen = [position for position, kinds in enumerate(there) if kinds]
        if self._most_regions and len(chosen) > self._most_regions:
            chosen = sorted(rng.choice(chosen, self._most_regions, replace=False).tolist())
        kinds = tuple(there[position][rng.integers(len(there[position]))] for position in chosen)
        regions = [self._region(index, position, kind) for position, kind in zip(chosen, kinds, strict=True)]
        condition = VisualPriorCondition(np.stack(regions), kinds)
        image, key = self.image(index), image_key(self.path(index))
        masks, labels = self.masks(index)[chosen], np.arange(len(chosen))
        return Sample(image, Task.INTERACTIVE, condition, masks, labels, True, "coco-interactive", key)

    def _region(self, index: int, position: int, kind: RegionKind) -> NDArray[np.bool_]:
        code = self._records[index]["anns"][position][f"{kind}{_SUFFIX}"]
        return self._thick(decode_segmentation(code, self._size(index)), kind)

    def _thick(self, mask: NDArray[np.bool_], kind: RegionKind) -> NDArray[np.bool_]:
        """Every pixel of a point or scribble as a disc; boxes and masks as they are."""
        if kind not in self._radius or not mask.any():
            return mask
        from scipy.ndimage import distance_transform_edt

        return np.asarray(distance_transform_edt(~mask) <= self._radius[kind])

    def _size(self, index: int) -> tuple[int, int]:
        info = self._records[index]["image_info"]
        return info["height"], info["width"]


def _kinds_of(annotation: dict[str, Any]) -> list[RegionKind]:
    """The kinds by which an object can be asked for: small ones have no scribble, and the smallest no point."""
    from pycocotools import mask as coco_mask

    return [kind for kind in KINDS if coco_mask.area(annotation[f"{kind}{_SUFFIX}"])]


def _checked(record: Any, path: Path) -> dict[str, Any]:
    if not isinstance(record, dict) or not {"image", "image_info", "anns"} <= set(record):
        raise AnnotationError(f"{path}: an entry has no image, image_info or anns: give a COCO-Interactive file.")
    for annotation in record["anns"]:
        missing = [f"{kind}{_SUFFIX}" for kind in KINDS if f"{kind}{_SUFFIX}" not in annotation]
        if missing:
            raise AnnotationError(f"{path}: an object of {record['image']} has no {', '.join(missing)}: make it anew.")
    return record
