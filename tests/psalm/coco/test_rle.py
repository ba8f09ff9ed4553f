"""Segmentations: exact both ways, damage is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from psalm.coco.rle import decode_segmentation, encode_mask
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
