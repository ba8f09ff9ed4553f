"""The model image: equal to the published preprocessing, pixel by pixel."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from psalm.conditions import VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.image_transform import ImageTransform

GREY_LEVEL = 1 / 57.0
CASES = ["p240x321", "p333x250", "p1100x1500", "p1024x1024"]


@pytest.fixture(scope="module")
def recorded(golden) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors.numpy import load_file

    return json.loads(golden("preprocess_1024.json").read_text()), load_file(golden("preprocess_1024.safetensors"))


def image_of(case: str, tensors: dict[str, Any], height: int, width: int) -> np.ndarray:
    if f"{case}.raw" in tensors:
        return tensors[f"{case}.raw"]
    y, x = np.mgrid[:height, :width]
    channels = ((x // 3 + y // 5) % 256, (x * y // 4000 + 40) % 256, (y // 4 + x // 7 + 90) % 256)
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("case", CASES)
def test_image_equals_the_published_preprocessing(recorded, case):
    facts, tensors = recorded
    height, width = facts[case]["h"], facts[case]["w"]
    transform = ImageTransform(PSALMConfig())
    frame = transform.frame((height, width))
    assert list(frame.resized) == facts[case]["unpadded"]
    image = transform.image(image_of(case, tensors, height, width)).numpy()
    assert image.shape == (3, 1024, 1024)
    assert np.abs(image[:, ::4, ::4] - tensors[f"{case}.image_sub4"]).max() < GREY_LEVEL
    assert abs(image.sum(dtype=np.float64) - facts[case]["image_sum"]) < 1


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kind", "radius"), [("point", 10), ("scribble", 5), ("box", 0), ("mask", 0)])
def test_regions_equal_the_published_preprocessing(recorded, case, kind, radius):
    from pycocotools import mask as coco_mask
    from scipy.ndimage import distance_transform_edt

    facts, tensors = recorded
    drawn = coco_mask.decode(facts[case]["prompts"][kind]).astype(bool)
    thick = distance_transform_edt(~drawn) <= radius
    expected = np.unpackbits(tensors[f"{case}.region_{kind}_packed"], axis=-1)[:, :1024].astype(bool)
    assert np.array_equal(ImageTransform(PSALMConfig()).masks(thick[None])[0].numpy(), expected)
    if kind == "point":
        # our discs are those of the published code
        clicks = VisualPriorCondition.from_points(np.argwhere(drawn), drawn.shape)
        assert np.array_equal(clicks.masks.any(axis=0), thick)


@pytest.mark.parametrize("shape", [(3, 700), (900, 2), (1, 1), (191, 192), (5000, 31)])
def test_odd_shapes_fit_the_frame(shape):
    transform = ImageTransform(PSALMConfig.small())
    frame = transform.frame(shape)
    assert max(frame.resized) == 192 and min(frame.resized) >= 1
    assert tuple(transform.image(np.zeros((*shape, 3), np.uint8)).shape) == (3, 192, 192)
    assert tuple(transform.masks(np.ones((2, *shape), bool)).shape) == (2, 192, 192)


def test_padding_is_grey_for_images_and_empty_for_masks():
    config = PSALMConfig.small()
    transform = ImageTransform(config)
    image = transform.image(np.zeros((96, 192, 3), np.uint8))
    grey = [(128 - mean) / std for mean, std in zip(config.pixel_mean, config.pixel_std, strict=True)]
    assert np.allclose(image[:, 96:].numpy(), np.array(grey, np.float32)[:, None, None])
    assert not transform.masks(np.ones((1, 96, 192), bool))[0, 96:].any()


def test_a_thin_region_does_not_vanish_on_a_large_image():
    mask = np.zeros((1, 4000, 3000), bool)
    mask[0, 3001, 1999] = True
    small = ImageTransform(PSALMConfig.small()).masks(mask)[0].nonzero()
    assert small.tolist() == [[3001 * 192 // 4000, 1999 * 144 // 3000]]
