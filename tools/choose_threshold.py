"""Find the score threshold at which class lists are answered best on labelled images.

    python tools/choose_threshold.py --model runs/psalm-tiny/model --split val \
        IMAGES ANNOTATIONS.json [IMAGES ANNOTATIONS.json ...]

Prints recall, precision and their harmonic mean (F1) at IoU 0.5 for thresholds from 0.05 to 0.95, for each data set and
as the mean over them; the best mean is the threshold to store with the weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from psalm.coco import read_coco
from psalm.evaluation.instance import InstanceEvaluation
from psalm.evaluation.runner import choose_images
from psalm.images import read_image, to_rgb8
from psalm.predictor import PSALMPredictor


def measure(predictor: PSALMPredictor, images: Path, annotations: Path, split: str | None, limit: int | None) -> list:
    """(recall, precision, F1) per threshold on one data set."""
    dataset = read_coco(annotations)
    evaluation = InstanceEvaluation(dataset)
    for image in track(choose_images(dataset, split, limit), description=str(annotations)):
        predictor.set_image(to_rgb8(read_image(image.path(images))))
        evaluation.add(image, predictor)
    rows = []
    for threshold in THRESHOLDS:
        found = evaluation.found_at(threshold)
        recall, precision = found["recall50"] or 0.0, found["precision50"] or 0.0
        rows.append((recall, precision, 2 * recall * precision / max(recall + precision, 1e-9)))
    return rows


THRESHOLDS = [round(float(t), 2) for t in np.arange(0.05, 1.0, 0.05)]


def main() -> None:
    """Measure each data set and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--model", default="psalm-tiny")
    parser.add_argument("--split")
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    predictor = PSALMPredictor.from_pretrained(arguments.model)
    pairs = list(zip(arguments.data[::2], arguments.data[1::2], strict=True))
    figures = np.array(
        [measure(predictor, images, annotations, arguments.split, arguments.limit) for images, annotations in pairs]
    )
    table = Table("threshold", *(annotations.parent.name for _, annotations in pairs), "mean F1")
    for i, threshold in enumerate(THRESHOLDS):
        cells = [f"R {r:.2f}  P {p:.2f}  F1 {f:.2f}" for r, p, f in figures[:, i]]
        table.add_row(f"{threshold:g}", *cells, f"{figures[:, i, 2].mean():.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
