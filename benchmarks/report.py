"""Write the figures of docs/performance.json into docs/performance.md, and draw time against number of clicks.

python benchmarks/report.py
"""

from __future__ import annotations

import json
from typing import Any

from machine import RESULTS, official_seconds

from psalm.files import write_text

PAGE, PLOT = RESULTS.with_name("performance.md"), RESULTS.with_name("images") / "clicks.svg"
START, STOP = "<!-- figures -->", "<!-- end of figures -->"
CLICKS, WIDTH, HEIGHT, MARGIN = 20, 560, 320, 48
LINES = (("published code", "#b3452c"), ("float32", "#2c6fb3"), ("bfloat16", "#2c8f4e"))


def main() -> None:
    """Replace what lies between the marks of the page."""
    results: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    after = rest.partition(STOP)[2]
    tables = "\n".join(table(name, figures) for name, figures in results.items())
    drawn = plot(results)
    picture = "\n![Time of all clicks on one image against their number](images/clicks.svg)\n" if drawn else ""
    if drawn:
        write_text(PLOT, drawn)
    write_text(PAGE, f"{before}{START}\n{picture}\n{tables}\n{STOP}{after}")


def table(name: str, figures: dict[str, Any]) -> str:
    """One section of figures."""
    rows = [
        f"| {key} | {value:.3g} |" if isinstance(value, float) else f"| {key} | {value} |"
        for key, value in figures.items()
    ]
    return "\n".join([f"### {name}", "", "| figure | value |", "|---|---|", *rows, ""])


def series(results: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """Seconds after each click, per line of the plot, as far as it was measured."""
    found = {}
    for dtype in ("float32", "bfloat16"):
        figures = results.get(f"full-size {dtype}")
        if figures is None:
            continue
        first, further = figures["first mask, s"], figures["further prompt, s"]
        found[dtype] = [first + further * i for i in range(CLICKS)]
        each = official_seconds(figures["float32 GFLOP/s"])
        found.setdefault("published code", [each * (i + 1) for i in range(CLICKS)])
    return found


def plot(results: dict[str, dict[str, Any]]) -> str:
    """An SVG picture; empty when the full-size model was not measured."""
    found = series(results)
    if not found:
        return ""
    most = max(max(values) for values in found.values())
    across, up = (WIDTH - 2 * MARGIN) / (CLICKS - 1), (HEIGHT - 2 * MARGIN) / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="black"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">clicks on one image (1 to {CLICKS})</text>',
        f'<text x="{MARGIN}" y="{MARGIN - 12}">seconds in all (top: {most:.0f})</text>',
    ]
    for row, (name, colour) in enumerate(LINES):
        if name not in found:
            continue
        points = " ".join(
            f"{MARGIN + across * i:.1f},{HEIGHT - MARGIN - up * value:.1f}" for i, value in enumerate(found[name])
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        words = f"{name}: {found[name][0]:.1f} s, then {found[name][1] - found[name][0]:.2f} s per click"
        parts.append(f'<text x="{MARGIN + 12}" y="{MARGIN + 16 * (row + 1)}" fill="{colour}">{words}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    main()
