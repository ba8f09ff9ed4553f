"""Objects marked in image files, whose like is looked for in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from psalm.coco.rle import decode_segmentation, encode_mask
from psalm.errors import ConditionError
from psalm.images import read_image
from psalm.store import content_hash

if TYPE_CHECKING:
    from psalm.exemplars import Exemplars
    from psalm.predictor import PSALMPredictor


@dataclass(frozen=True)
class ExemplarFile:
    """Marked objects of one image.

    Parameters
    ----------
    image : Path
        One page.
    mask : Path
        An image of the same size: 0 is background, and each other value is an object of its own.
    name : str
        Category of the objects and of their like.
    """

    image: Path
    mask: Path
    name: str


def read_exemplar(text: str) -> ExemplarFile:
    """``IMAGE:MASK`` or ``IMAGE:MASK=NAME``; without a name, the mask's file name is the category.

    Raises
    ------
    ConditionError
        When one of the files does not exist.
    """
    files, _, name = text.partition("=")
    # A path may hold colons, too.
    for place in (i for i, letter in enumerate(files) if letter == ":"):
        image, mask = Path(files[:place]), Path(files[place + 1 :])
        if image.is_file() and mask.is_file():
            return ExemplarFile(image, mask, name.strip() or mask.stem)
    raise ConditionError(f"The exemplar {text!r} names no two files: give IMAGE:MASK, or IMAGE:MASK=NAME.")


def exemplar_prompt(exemplars: Sequence[ExemplarFile], image_root: Path | str) -> dict[str, Any]:
    """What the store records: the masks, and where their images lie.

    Parameters
    ----------
    exemplars : sequence of ExemplarFile
    image_root : path
        Paths of images below it are relative to it, so that other machines find them.

    Raises
    ------
    ImageError
        When a file cannot be read.
    ConditionError
        When a mask is empty or has not the size of its image.
    """
    root = Path(image_root).resolve()
    return {"kind": "exemplar", "exemplars": [_record(each, root) for each in exemplars]}


def mark(prompt: Mapping[str, Any], image_root: Path, predictor: PSALMPredictor) -> list[Exemplars]:
    """The exemplars of a recorded prompt as a model remembers them, one per category.

    Raises
    ------
    ConditionError
        When an image is not the one that was marked.
    """
    from psalm.exemplars import mark_exemplars

    found: dict[str, Exemplars] = {}
    for record in prompt["exemplars"]:
        path = image_root / record["image"]
        if content_hash(path) != record["content_hash"]:
            raise ConditionError(f"The exemplar {path} has changed since it was marked: put the old file back.")
        masks = np.stack([decode_segmentation(code, tuple(code["size"])) for code in record["masks"]])
        marked = mark_exemplars(predictor, read_image(path), masks, record["name"])
        found[marked.name] = found[marked.name].joined(marked) if marked.name in found else marked
    return list(found.values())


def _record(exemplar: ExemplarFile, root: Path) -> dict[str, Any]:
    shape = read_image(exemplar.image).shape[:2]
    masks = _objects(exemplar.mask)
    if masks.shape[1:] != shape:
        raise ConditionError(
            f"{exemplar.mask} has {masks.shape[1]} x {masks.shape[2]} pixels, its image {shape[0]} x {shape[1]}: "
            "draw the mask on the image."
        )
    image = exemplar.image.resolve()
    place = image.relative_to(root) if image.is_relative_to(root) else image
    return {
        "name": exemplar.name,
        "image": place.as_posix(),
        "content_hash": content_hash(image),
        "masks": [encode_mask(mask) for mask in masks],
    }


def _objects(path: Path) -> NDArray[np.bool_]:
    labels = read_image(path)
    if labels.ndim == 3:
        raise ConditionError(f"{path} is a colour image: save the mask in one channel, 0 for background.")
    masks = [labels == value for value in np.unique(labels) if value]
    if not masks:
        raise ConditionError(f"{path} marks no pixel: paint the object with any value but 0.")
    return np.stack(masks)
