"""Segmentations: exact both ways, damage is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from psalm.coco.rle import (
    area_of,
    cut_out,
    decode_segmentation,
    encode_mask,
    masks_by_value,
    odd_of,
    pixels_of,
    sample,
    to_rle,
)
from psalm.errors import AnnotationError


@pytest.mark.parametrize("seed", range(20))
def test_round_trip_is_exact(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((int(rng.integers(1, 60)), int(rng.integers(1, 90)))) < rng.random()
    code = json.loads(json.dumps(encode_mask(mask)))
    assert np.array_equal(decode_segmentation(code, mask.shape), mask)
    assert np.array_equal(coco_mask.decode(code).astype(bool), mask)


def test_long_runs_are_exact():
    mask = np.zeros((3000, 2000), bool)
    mask[17:2900, 5:1990] = True
    mask[500:700, 300:900] = False
    assert np.array_equal(decode_segmentation(encode_mask(mask), mask.shape), mask)


def test_uncompressed_counts_go_down_the_columns():
    mask = decode_segmentation({"size": [2, 3], "counts": [1, 3, 2]}, (2, 3))
    assert mask.tolist() == [[False, True, False], [True, True, False]]


def test_polygons_are_united():
    rings = [[0, 0, 2, 0, 2, 2, 0, 2], [4, 4, 6, 4, 6, 6, 4, 6]]
    mask = decode_segmentation(rings, (8, 8))
    assert mask.sum() == 8 and mask[0, 0] and mask[5, 5] and not mask[3, 3]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [3, 2], "counts": [6]}, "height, width"),
        ({"size": [2, 3], "counts": [5]}, "cover 5 pixels"),
        ({"size": [2, 3], "counts": [-1, 7]}, "cover"),
        ({"size": [2, 3], "counts": "1"}, "cover 1 pixels"),
        ({"size": [2, 3], "counts": "\x01"}, "character"),
        ({"size": [2, 3], "counts": "P"}, "cut"),
        ({"size": [2, 3]}, "lacks"),
        ({"size": [2, 3], "counts": 4}, "neither text nor"),
        ([], "empty"),
        ([1, 1, 2, 2, 3, 3], "nest"),
        ([[1, 1, 2, 2]], "three points"),
        ("text", "neither RLE"),
        (None, "neither RLE"),
    ],
)
def test_damage_is_named(segmentation, message):
    with pytest.raises(AnnotationError, match=message):
        decode_segmentation(segmentation, (2, 3))


@pytest.mark.parametrize("seed", range(10))
def test_equal_masks_have_equal_codes(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((7, 9)) < 0.4
    code = encode_mask(mask)
    borders = np.flatnonzero(np.diff(mask.T.ravel().astype(int))) + 1
    runs = np.diff(borders, prepend=0, append=63).tolist()
    runs = [0, *runs] if mask[0, 0] else runs
    split = [runs[0], *(part for run in runs[1:] for part in (1, 0, run - 1))]
    assert to_rle({"size": [7, 9], "counts": runs}, (7, 9)) == code
    assert to_rle({"size": [7, 9], "counts": split}, (7, 9)) == code
    assert to_rle(code, (7, 9)) == code
    assert (area_of(code), pixels_of(code).tolist()) == (mask.sum(), np.flatnonzero(mask.T.ravel()).tolist())


def test_a_mask_is_cut_out_of_its_image():
    mask = np.zeros((50, 60), bool)
    mask[20:25, 30:33], mask[21, 31] = True, False
    part, origin = cut_out(encode_mask(mask))
    assert origin == (20, 30) and np.array_equal(part, mask[20:25, 30:33])


def test_single_pixels_are_looked_up():
    mask = np.random.default_rng(0).random((31, 17)) > 0.5
    rows, columns = np.array([0, 3, 30]), np.array([0, 1, 9, 16])
    assert np.array_equal(sample(encode_mask(mask), rows, columns), mask[np.ix_(rows, columns)])
    assert sample(encode_mask(mask), rows[:0], columns).shape == (0, 4)


def test_values_of_a_picture_become_masks():
    picture = np.random.default_rng(0).integers(0, 4, (13, 17)).astype(np.uint16) * 7
    found = masks_by_value(picture)
    assert set(found) == {0, 7, 14, 21}
    assert all(found[value] == encode_mask(picture == value) for value in found)


def test_rings_take_each_other_away():
    outer, hole = np.ones((6, 6), bool), np.zeros((6, 6), bool)
    hole[2:4, 2:5] = True
    assert odd_of([encode_mask(outer), encode_mask(hole)], (6, 6)) == encode_mask(outer & ~hole)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": 6, "counts": [6]}, "height, width"),
        ({"size": [2, 3], "counts": [1.5, 4.5]}, "whole numbers"),
        ({"size": [2, 3], "counts": ["a"]}, "no finite number"),
        ({"size": [2, 3], "counts": [10**400]}, "no finite number"),
        ({"size": [2, 3], "counts": "o" * 9 + "0"}, "beyond 32 bits"),
        ({"size": [2, 3], "counts": "€"}, "character"),
        ([[1, 1, 2, 2, float("nan"), 3]], "no finite number"),
        ([[1, 1, 2, 2, 3, None]], "no finite number"),
        ([[1, 1, 2, 2, 1e9, 3]], "far outside"),
        ([[[1], [2], [3], [4], [5], [6]]], "no finite number"),
        (["abcdef"], "nest"),
    ],
)
def test_nonsense_is_named(segmentation, message):
    with pytest.raises(AnnotationError, match=message):
        decode_segmentation(segmentation, (2, 3))


def test_sizes_that_nothing_can_count_are_refused():
    with pytest.raises(AnnotationError, match="RLE counts to"):
        decode_segmentation({"size": [2**16, 2**16], "counts": [2**32]}, (2**16, 2**16))
    zigzag = [coordinate for i in range(3000) for coordinate in (30_000 * (i % 2), i)]
    with pytest.raises(AnnotationError, match="pixels long"):
        decode_segmentation([zigzag], (30_000, 30_000))
