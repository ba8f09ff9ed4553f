"""Draw the curves of a training run: its loss, and what it reached on the images of its validation.

python tools/draw_curves.py runs/joint-small docs/images/joint-small.svg
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psalm.files import write_text

Curve = list[tuple[int, float]]
WIDTH, HEIGHT, MARGIN = 420, 300, 46
COLOURS = ("#2c6fb3", "#b3452c", "#2c8f4e", "#8a4fb0", "#a8801c", "#4a4a4a")
LOSSES = ("loss",)
SHOWN = ("panoptic/recall", "instance/recall", "referring/iou", "interactive/iou")


def main() -> None:
    """Read the log, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run, with its log.jsonl")
    parser.add_argument("picture", type=Path, help="an SVG file")
    parser.add_argument("--figures", nargs="*", default=SHOWN, help="of the validation")
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in (arguments.run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    write_text(arguments.picture, draw(lines, arguments.figures))


def curves(lines: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Losses and figures of the validation by name, against the step; stages follow each other."""
    losses: dict[str, Curve] = defaultdict(list)
    figures: dict[str, Curve] = defaultdict(list)
    before, stage, last = 0, 0, 0
    for line in lines:
        if line["stage"] != stage:
            before, stage = before + last, line["stage"]
        last = line["step"]
        for name in LOSSES:
            if name in line:
                losses[name].append((before + last, line[name]))
        for name in shown:
            if name in line.get("validation", {}):
                figures[name].append((before + last, line["validation"][name]))
    return dict(losses), dict(figures)


def draw(lines: Sequence[Mapping[str, Any]], shown: Sequence[str] = SHOWN) -> str:
    """Two panels as SVG: the loss on the left, the validation on the right."""
    losses, figures = curves(lines, shown)
    steps = max((step for found in (losses, figures) for curve in found.values() for step, _ in curve), default=1)
    highest = max((value for curve in losses.values() for _, value in curve), default=1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{2 * WIDTH}" height="{HEIGHT}" fill="white"/>',
        *panel("loss of a training step", losses, steps, highest, 0),
        *panel("images of the validation", figures, steps, 1.0, WIDTH),
    ]
    return "\n".join([*parts, "</svg>", ""])


def panel(title: str, found: Mapping[str, Curve], steps: int, highest: float, left: int) -> list[str]:
    """A frame with its scale, a line and a legend entry per curve, and the last value of each."""
    start, end, top, bottom = left + MARGIN, left + WIDTH - 12, 30, HEIGHT - MARGIN
    parts = [
        f'<path d="M{start} {top}V{bottom}H{end}" fill="none" stroke="black"/>',
        f'<text x="{start}" y="{top - 10}">{title}</text>',
        f'<text x="{(start + end) / 2}" y="{HEIGHT - 12}" text-anchor="middle">steps (1 to {steps})</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        parts.append(f'<text x="{start - 6}" y="{y + 4:.0f}" text-anchor="end">{share * highest:.3g}</text>')
        parts.append(f'<path d="M{start} {y:.1f}H{end}" stroke="#dddddd" fill="none"/>')
    for row, (name, curve) in enumerate(found.items()):
        colour = COLOURS[row % len(COLOURS)]
        points = " ".join(
            f"{start + step / steps * (end - start):.1f},{bottom - value / highest * (bottom - top):.1f}"
            for step, value in curve
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        words = f"{name}: {curve[0][1]:.3g}, at last {curve[-1][1]:.3g}"
        parts.append(f'<text x="{end}" y="{top + 14 + 15 * row}" text-anchor="end" fill="{colour}">{words}</text>')
    return parts


if __name__ == "__main__":
    main()
