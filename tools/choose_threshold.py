"""Find the score threshold at which class lists are answered best on labelled images.

    python tools/choose_threshold.py --model runs/psalm-tiny/model --split val \
        IMAGES ANNOTATIONS.json [IMAGES ANNOTATIONS.json ...]

Prints recall, precision and their harmonic mean (F1) at IoU 0.5 for thresholds from 0.05 to 0.95, for each data set and
as the mean over them; the best mean is the threshold to store with the weights. With --reliability, a picture shows how
many of the objects with a score are right, which with calibrated scores is as many as the score says.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from psalm.coco import read_coco
from psalm.evaluation.instance import InstanceEvaluation
from psalm.evaluation.runner import choose_images
from psalm.files import write_text
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


def shares(rows: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """(middle of the scores, share that is right, share of all that was found) from each threshold to the next.

    Of what is found from one threshold on, recall is in proportion to what is right, and recall over precision to all.
    """
    right = [recall for recall, _, _ in rows] + [0.0]
    shown = [recall / precision if precision else 0.0 for recall, precision, _ in rows] + [0.0]
    edges = [*THRESHOLDS, 1.0]
    return [
        ((low + high) / 2, (right[i] - right[i + 1]) / (shown[i] - shown[i + 1]), (shown[i] - shown[i + 1]) / shown[0])
        for i, (low, high) in enumerate(pairwise(edges))
        if shown[i] - shown[i + 1] > 1e-9
    ]


def draw(found: Mapping[str, Sequence[tuple[float, float, float]]]) -> str:
    """Share of right objects against their score as SVG, a disc's area as the number of objects."""
    side, margin, colours = 320, 46, ("#2c6fb3", "#b3452c", "#2c8f4e")

    def place(x: float, y: float) -> tuple[float, float]:
        return margin + x * side, margin + (1 - y) * side

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side + 2 * margin}" height="{side + 2 * margin}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{side + 2 * margin}" height="{side + 2 * margin}" fill="white"/>',
        f'<path d="M{margin} {margin}V{margin + side}H{margin + side}" fill="none" stroke="black"/>',
        f'<path d="M{margin} {margin + side}L{margin + side} {margin}" stroke="#bbbbbb" stroke-dasharray="4"/>',
        f'<text x="{margin + side / 2}" y="{2 * margin + side - 12}" text-anchor="middle">score</text>',
        f'<text x="{margin}" y="{margin - 26}">share of the objects that are right</text>',
    ]
    for value in (0.0, 0.5, 1.0):
        (x, bottom), (left, y) = place(value, 0), place(0, value)
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    for row, (name, bins) in enumerate(found.items()):
        colour = colours[row % len(colours)]
        parts.append(
            f'<text x="{margin + side}" y="{margin - 26 + 15 * row}" text-anchor="end" fill="{colour}">{name}</text>'
        )
        for score, share, weight in bins:
            x, y = place(score, share)
            radius = 2 + 20 * weight**0.5
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.5"/>')
    return "\n".join([*parts, "</svg>", ""])


THRESHOLDS = [round(float(t), 2) for t in np.arange(0.05, 1.0, 0.05)]


def main() -> None:
    """Measure each data set and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--model", default="psalm-tiny")
    parser.add_argument("--split")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--reliability", type=Path, metavar="FILE.svg")
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
    if arguments.reliability:
        found = {
            path.parent.name: shares(list(map(tuple, rows))) for (_, path), rows in zip(pairs, figures, strict=True)
        }
        write_text(arguments.reliability, draw(found))


if __name__ == "__main__":
    main()
