"""Images of every kind become 8-bit RGB, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.errors import ImageError
from psalm.images import to_rgb8

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_8_bit_values_are_kept():
    rgb = np.stack([RAMP, RAMP + 1, RAMP + 2], axis=-1)
    assert np.array_equal(to_rgb8(rgb), rgb)
    assert np.array_equal(to_rgb8(np.dstack([rgb, RAMP])), rgb)
    for grey in (RAMP, RAMP[..., None], np.dstack([RAMP, RAMP * 0])):
        assert np.array_equal(to_rgb8(grey), np.dstack([RAMP] * 3))


def test_float_rgb_between_0_and_1_is_scaled_not_stretched():
    image = np.full((2, 2, 3), 0.5)
    assert (to_rgb8(image) == 128).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64, np.int64])
def test_deep_images_are_stretched(dtype):
    image = (np.arange(10000).reshape(100, 100) + 300).astype(dtype)
    rgb = to_rgb8(image)
    assert rgb.dtype == np.uint8 and rgb.min() == 0 and rgb.max() == 255
    assert abs(int(rgb[50, 0, 0]) - 128) <= 1
    assert (np.diff(rgb[:, 0, 0].astype(int)) >= 0).all()


def test_an_outlier_does_not_darken_the_image():
    image = np.tile(np.linspace(0, 1000, 100), (100, 1)).astype(np.uint16)
    image[0, 0] = 65535
    assert to_rgb8(image)[50, 50, 0] > 100


def test_few_bright_pixels_on_a_flat_ground_stay_visible():
    image = np.zeros((200, 200), dtype=np.uint16)
    image[3, 3] = 900
    rgb = to_rgb8(image)
    assert rgb[3, 3, 0] == 255 and rgb[0, 0, 0] == 0


def test_a_flat_image_and_a_mask_work():
    assert (to_rgb8(np.full((2, 3), 7.0)) == 0).all()
    assert to_rgb8(np.array([[True, False]])).tolist() == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 3, 4, 5)), "one plane"),
        (np.zeros((3, 20, 20), np.uint8), "moveaxis"),
        (np.zeros(5), "height, width"),
        (np.zeros((0, 4), np.uint8), "empty"),
        (np.array([[1.0, np.nan]]), "1 NaN"),
        (np.array([[1.0, np.inf], [np.nan, 0]]), "2 NaN or infinite"),
        (np.array([["a"]]), "type"),
        (np.zeros((2, 2), complex), "type"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(ImageError, match=message):
        to_rgb8(image)
