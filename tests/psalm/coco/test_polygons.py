"""Polygons: pycocotools makes exactly the same mask of them, or one that overlaps enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy.ndimage import label

from psalm.coco.polygons import exact_polygons, joined_polygon, rings_of_parts, simplified_polygons
from psalm.coco.rings import trace_rings
from psalm.errors import AnnotationError

Mask = NDArray[np.bool_]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Noise of any density, or bars and boxes that make holes, parts, nested holes and diagonal contacts."""
    size = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    if draw(st.booleans()):
        mask = draw(arrays(bool, size, elements=st.booleans()))
    else:
        mask = np.zeros(size, dtype=bool)
        for _ in range(draw(st.integers(1, 6))):
            rows, columns = sorted(draw(pair(size[0]))), sorted(draw(pair(size[1])))
            mask[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] ^= True
    mask[draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))] = True
    return mask


def pair(length: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, length - 1), st.integers(0, length - 1))


def filled(polygons: list[list[int]], size: tuple[int, ...]) -> Mask:
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *size))).astype(bool)


@given(masks())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_exact_polygons_are_exact(mask: Mask):
    polygons = exact_polygons(mask)
    assert np.array_equal(filled(polygons, mask.shape), mask)
    assert len(polygons) == label(mask)[1] and min(map(len, polygons)) >= 8
    assert np.array_equal(filled([joined_polygon(polygons)], mask.shape), mask)


@given(masks(), st.floats(0.3, 1))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_simplified_polygons_overlap_as_stated(mask: Mask, min_iou: float):
    polygons = simplified_polygons(mask, min_iou)
    back = filled(polygons, mask.shape)
    assert (mask & back).sum() / (mask | back).sum() >= min_iou - 1e-12
    assert sum(map(len, polygons)) <= sum(map(len, exact_polygons(mask)))


def test_a_polygon_is_placed_in_its_image():
    mask = np.ones((2, 3), dtype=bool)
    assert exact_polygons(mask, (5, 7)) == [[7, 5, 10, 5, 10, 7, 7, 7]]
    assert simplified_polygons(mask, 0.9, (5, 7)) == [[7, 5, 10, 5, 10, 7, 7, 7]]
    assert rings_of_parts(mask, (5, 7)) == [[[[7, 5], [10, 5], [10, 7], [7, 7], [7, 5]]]]


def test_a_hole_hangs_on_the_outline_by_a_vertical_line():
    mask = np.ones((5, 5), dtype=bool)
    mask[2:4, 1:3] = False
    (polygon,) = exact_polygons(mask)
    points = list(zip(polygon[::2], polygon[1::2], strict=True))
    assert points.count((1, 0)) == 2 and points.count((1, 2)) == 2
    outer, hole = trace_rings(mask)
    assert (outer.is_hole, hole.is_hole, hole.parent) == (False, True, 0)


def test_holes_in_parts_in_holes_belong_to_their_parts():
    mask = np.zeros((9, 9), dtype=bool)
    for i in range(5):
        mask[i : 9 - i, i : 9 - i] = i % 2 == 0
    nested = rings_of_parts(mask)
    assert [len(part) for part in nested] == [2, 2, 1]


def test_many_holes_hang_on_one_another():
    mask = np.ones((2001, 3), dtype=bool)
    mask[1::2, 1] = False
    (polygon,) = exact_polygons(mask)
    assert np.array_equal(filled([polygon], mask.shape), mask)


def test_large_images_are_exact():
    mask = np.zeros((3000, 4001), dtype=bool)
    mask[2990:, 3990:] = True
    mask[2995, 3995] = False
    assert np.array_equal(filled(exact_polygons(mask), mask.shape), mask)


def test_a_round_mask_becomes_simple():
    rows, columns = np.mgrid[:60, :60]
    mask = np.hypot(rows - 30, columns - 30) < 25
    assert sum(map(len, simplified_polygons(mask, 0.9))) < 0.2 * sum(map(len, exact_polygons(mask)))


def test_what_has_no_polygon_is_refused():
    with pytest.raises(AnnotationError, match="no pixel"):
        exact_polygons(np.zeros((3, 3), dtype=bool))
    for min_iou in (0, 1.1, float("nan")):
        with pytest.raises(AnnotationError, match="least IoU"):
            simplified_polygons(np.ones((3, 3), dtype=bool), min_iou)
