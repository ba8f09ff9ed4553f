"""Curves are read from the log of a run, stage after stage."""

from __future__ import annotations

from xml.etree import ElementTree

from tools.draw_curves import curves, draw

LINES = [
    {"stage": 0, "step": 10, "loss": 8.0},
    {"stage": 0, "step": 20, "loss": 4.0},
    {"stage": 0, "step": 20, "validation": {"referring/iou": 0.25, "other": 0.9}},
    {"stage": 1, "step": 5, "loss": 2.0},
    {"stage": 1, "step": 5, "validation": {"referring/iou": 0.5}},
]


def test_stages_follow_each_other() -> None:
    losses, figures = curves(LINES, ["referring/iou"])
    assert losses == {"loss": [(10, 8.0), (20, 4.0), (25, 2.0)]}
    assert figures == {"referring/iou": [(20, 0.25), (25, 0.5)]}


def test_the_picture_has_a_line_per_curve_within_its_frame() -> None:
    drawn = ElementTree.fromstring(draw(LINES))
    found = [line.get("points", "") for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(points.split()) for points in found] == [3, 2]
    points = [tuple(map(float, point.split(","))) for line in found for point in line.split()]
    assert all(0 <= x <= 840 and 0 <= y <= 300 for x, y in points)
    assert draw([])
