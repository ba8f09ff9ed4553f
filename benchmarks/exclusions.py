"""What a second click brings, on what does not belong to the object.

    python benchmarks/exclusions.py IMAGES ANNOTATIONS.json --split val --per-source 4

Every object is clicked in its middle. Where the answer is off and reaches beyond the object, the middle of the largest
part that does not belong is excluded. Printed are the mean IoU of these answers with the first click alone, with what
the model finds at the exclusion cut out of them, and when the model is told of the exclusion.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from psalm.coco import ImageEntry, read_coco
from psalm.conditions import VisualPriorCondition
from psalm.data.careful_prompts import interior_pixel
from psalm.images import read_image, to_rgb8
from psalm.predictor import PSALMPredictor

Mask = NDArray[np.bool_]

GOOD = 0.85  # IoU of an answer that needs no second click
LEAST = 12  # pixels of a part that is worth a click
MOST = 6  # objects of an image


def main() -> None:
    """Click, exclude, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder in which the file names start")
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--split", default=None)
    parser.add_argument("--per-source", type=int, default=4)
    parser.add_argument("--model", default="psalm-tiny")
    given = parser.parse_args()
    dataset, predictor = read_coco(given.annotations), PSALMPredictor.from_pretrained(given.model)
    rows = []
    for image in chosen(dataset.in_split(given.split), given.per_source):
        truth = dataset.annotations_of(image).masks
        predictor.set_image(to_rgb8(read_image(given.images / image.file_name)))
        rows += [row for mask in truth[truth.any(axis=(1, 2))][:MOST] if (row := compare(predictor, mask)) is not None]
    if not rows:
        parser.error("no answer reaches beyond its object: give more images")
    clicked, cut, told = np.mean(rows, axis=0)
    print(f"{len(rows)} objects: click {clicked:.3f}, cut out {cut:.3f}, told {told:.3f}; ratio {told / cut:.2f}")


def chosen(images: Sequence[ImageEntry], per_source: int) -> list[ImageEntry]:
    """The first images of each source."""
    by_source: dict[str, list[ImageEntry]] = defaultdict(list)
    for image in images:
        by_source[image.source].append(image)
    return [image for group in by_source.values() for image in group[:per_source]]


def compare(predictor: PSALMPredictor, truth: Mask) -> tuple[float, float, float] | None:
    """IoU with a click, with the object at the exclusion cut out, and told of it; None where none is needed."""
    clicked = VisualPriorCondition.from_points([interior_pixel(truth)], truth.shape)
    first = answer(predictor, clicked)
    beyond = largest_part(first & ~truth)
    if iou(first, truth) > GOOD or beyond.sum() < LEAST:
        return None
    place = VisualPriorCondition.from_points([interior_pixel(beyond)], truth.shape)
    there = answer(predictor, place)
    row, column = interior_pixel(truth)
    cut = first if there[row, column] else first & ~there
    told = answer(predictor, replace(clicked, excluded=place.masks))
    return iou(first, truth), iou(cut, truth), iou(told, truth)


def answer(predictor: PSALMPredictor, condition: VisualPriorCondition) -> Mask:
    """The mask for the only region."""
    found = predictor.predict(condition).masks
    return found[0] if len(found) else np.zeros(condition.masks.shape[1:], dtype=bool)


def largest_part(mask: Mask) -> Mask:
    """The largest connected part."""
    parts = label(mask)
    return np.asarray(parts == np.bincount(parts[mask]).argmax()) if mask.any() else mask


def iou(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max((one | other).sum(), 1))


if __name__ == "__main__":
    main()
