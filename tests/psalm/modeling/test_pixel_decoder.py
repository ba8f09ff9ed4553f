from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from psalm.config import PSALMConfig
from psalm.modeling.pixel_decoder import PixelDecoder

CHANNELS = (16, 32, 64, 128)


@pytest.fixture
def decoder() -> PixelDecoder:
    torch.manual_seed(0)
    return PixelDecoder(PSALMConfig.small(), CHANNELS).eval()


def _pyramid(sizes, batch=2):
    return tuple(torch.randn(batch, channels, *size) for channels, size in zip(CHANNELS, sizes, strict=True))


@pytest.mark.parametrize("sizes", [[(16, 16), (8, 8), (4, 4), (2, 2)], [(18, 9), (9, 5), (5, 3), (5, 3)]])
def test_shapes(decoder, sizes):
    """Also for sizes that are no powers of two and two levels of one size."""
    mask_features, multi_scale = decoder(_pyramid(sizes))
    assert mask_features.shape == (2, 64, *sizes[0])
    assert [level.shape for level in multi_scale] == [(2, 64, *size) for size in reversed(sizes[1:])]


def test_batch_equals_singles(decoder):
    pyramid = _pyramid([(16, 12), (8, 6), (4, 3), (2, 2)])
    mask_features, multi_scale = decoder(pyramid)
    for index in range(2):
        alone, levels = decoder([level[index : index + 1] for level in pyramid])
        torch.testing.assert_close(mask_features[index], alone[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(multi_scale[2][index], levels[2][0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("image", ["A", "B", "C", "D2", "D3"])
def test_parity_with_the_official_pixel_decoder(golden, vision_weights, image):
    decoder = PixelDecoder(PSALMConfig.small(), CHANNELS).eval()
    decoder.load_state_dict(vision_weights("mask_generator.pixel_decoder"))
    expected = load_file(golden(f"img_{image}.safetensors"))
    with torch.no_grad():
        mask_features, multi_scale = decoder([expected[name] for name in ("res2", "res3", "res4", "res5")])
    torch.testing.assert_close(mask_features, expected["mask_features"], rtol=0, atol=1e-4)
    for level, features in enumerate(multi_scale):
        torch.testing.assert_close(features, expected[f"multi_scale_{level}"], rtol=0, atol=1e-4)
