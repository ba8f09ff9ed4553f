"""Simulated prompts lie on their object and never change."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.config import PSALMConfig
from psalm.data.careful_prompts import interior_pixel, jittered, middle_line, simulate_prompts, true_box


def objects() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:60, :80]
    disc = (rows - 20) ** 2 + (columns - 30) ** 2 <= 15**2
    crescent = disc & ((rows - 20) ** 2 + (columns - 38) ** 2 > 14**2)
    bar = np.zeros((60, 80), bool)
    bar[40:44, 5:75] = True
    slanted = np.abs(rows - columns * 0.5 - 5) < 3
    pixel = np.zeros((60, 80), bool)
    pixel[59, 79] = True
    scattered = rng.random((60, 80)) < 0.1
    everything = np.ones((60, 80), bool)
    return [disc, crescent, bar, slanted, pixel, scattered, everything]


@pytest.mark.parametrize("mask", objects())
def test_points_and_lines_lie_inside(mask):
    assert mask[interior_pixel(mask)]
    start, stop = middle_line(mask)
    for step in np.linspace(0, 1, 50):
        row, column = np.rint(start + step * (stop - start)).astype(int)
        assert mask[row, column]


def test_the_point_is_the_middle():
    disc, _, bar = objects()[:3]
    assert interior_pixel(disc) == (20, 30)
    assert interior_pixel(bar)[0] in (41, 42)
    corner = np.zeros((20, 20), bool)
    corner[:9, :9] = True  # the border of the image is outside
    assert interior_pixel(corner) == (4, 4)


def test_the_line_runs_along_the_object():
    start, stop = middle_line(objects()[2])
    assert abs(stop[1] - start[1]) > 45 and abs(stop[0] - start[0]) < 2


def test_the_box_is_true():
    assert true_box(objects()[2]) == (40, 5, 44, 75)
    prompt = simulate_prompts(objects()[2:3], "box", PSALMConfig.small())
    assert np.array_equal(prompt.masks[0], objects()[2]) and prompt.kinds == ("box",)


@pytest.mark.parametrize("mask", objects())
def test_the_drawn_mask_is_near_the_object(mask):
    drawn = jittered(mask)
    assert drawn.any() and np.array_equal(drawn, jittered(mask))
    iou = (drawn & mask).sum() / (drawn | mask).sum()
    assert iou > 0.4


def test_a_disc_is_drawn_roughly():
    disc = objects()[0]
    drawn = jittered(disc)
    assert 0.6 < (drawn & disc).sum() / (drawn | disc).sum() < 1


@pytest.mark.parametrize("kind", ["point", "scribble", "box", "mask"])
def test_all_objects_get_a_region_of_the_kind(kind):
    prompt = simulate_prompts(objects(), kind, PSALMConfig.small())
    assert len(prompt) == len(objects()) and set(prompt.kinds) == {kind}
    again = simulate_prompts(objects(), kind, PSALMConfig.small())
    assert np.array_equal(prompt.masks, again.masks)
