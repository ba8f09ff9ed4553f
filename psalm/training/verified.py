"""The verified images of an annotator's dataset as a COCO file with a held-out split."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psalm.errors import AnnotationError
from psalm.files import write_text
from psalm.formats.coco_export import export_coco
from psalm.store import AnnotationStore, ImageState

_LEAST = 2


@dataclass(frozen=True)
class VerifiedImages:
    """What a model is fine-tuned on and measured with.

    Parameters
    ----------
    annotations : Path
        COCO file in which every image has the split ``train`` or ``val``.
    images : Path
        Where its file names start.
    names : tuple of str
        Categories that have objects, in the order of the dataset.
    trained, held_out : int
        Images of each split.
    objects : int
        Objects of both.
    left_out : int
        Verified images that cannot be used: without an object, or a page of a stack.
    """

    annotations: Path
    images: Path
    names: tuple[str, ...]
    trained: int
    held_out: int
    objects: int
    left_out: int


def export_verified(dataset: Path | str, folder: Path, held_out: float = 0.2) -> VerifiedImages:
    """Write the verified images of a dataset to ``annotations.json`` in a folder.

    Which images are held out depends on their paths alone, so that a second run with the same images is measured on
    the same ones.

    Parameters
    ----------
    dataset : path
        Of the annotator; it is only read.
    folder : Path
    held_out : float
        Share of the images, at least one.

    Raises
    ------
    StoreError
        When there is no dataset.
    AnnotationError
        When fewer than two verified images have objects.
    """
    path = folder / "annotations.json"
    with AnnotationStore.open(dataset, read_only=True) as store:
        export_coco(store, path, states=[ImageState.VERIFIED], overwrite=True)
        root = store.image_root.resolve()
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    labelled = {annotation["image_id"] for annotation in content["annotations"]}
    usable = [image for image in content["images"] if image["id"] in labelled and "parent" not in image]
    if len(usable) < _LEAST:
        raise AnnotationError(
            f"{dataset} has {len(usable)} verified images with objects: verify at least {_LEAST}, better 20 or more."
        )
    count = min(max(round(held_out * len(usable)), 1), len(usable) - 1)
    kept = {image["id"] for image in sorted(usable, key=_draw)[:count]}
    for image in usable:
        image["split"] = "val" if image["id"] in kept else "train"
    left_out = len(content["images"]) - len(usable)
    ids = {image["id"] for image in usable}
    content["images"] = usable
    content["annotations"] = [annotation for annotation in content["annotations"] if annotation["image_id"] in ids]
    used = {annotation["category_id"] for annotation in content["annotations"]}
    content["categories"] = [category for category in content["categories"] if category["id"] in used]
    write_text(path, json.dumps(content))
    names = tuple(category["name"] for category in content["categories"])
    objects = len(content["annotations"])
    return VerifiedImages(path, root, names, len(usable) - count, count, objects, left_out)


def _draw(image: dict[str, Any]) -> bytes:
    """A number by chance that belongs to an image."""
    return hashlib.blake2b(image["file_name"].encode(), digest_size=8).digest()
