from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from psalm.config import PSALMConfig
from psalm.modeling.official_keys import rename_vision
from psalm.modeling.swin import SwinBackbone


@pytest.fixture
def backbone() -> SwinBackbone:
    torch.manual_seed(0)
    return SwinBackbone(PSALMConfig.small()).eval()


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (70, 33)])
def test_levels_have_strides_4_to_32_for_any_size(backbone, size):
    pyramid = backbone(torch.randn(2, 3, *size))
    expected, (rows, columns) = [], (-(-size[0] // 4), -(-size[1] // 4))
    for channels in backbone.channels:
        expected.append((2, channels, rows, columns))
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    assert [tuple(level.shape) for level in pyramid] == expected


def test_batch_equals_singles(backbone):
    images = torch.randn(2, 3, 96, 64)
    together = backbone(images)
    for index in range(2):
        for both, alone in zip(together, backbone(images[index : index + 1]), strict=True):
            torch.testing.assert_close(both[index], alone[0], rtol=0, atol=1e-5)


def test_half_of_the_blocks_are_shifted_and_drop_path_grows(backbone):
    blocks = list(backbone.layers[0].blocks)
    assert [block.shift_size for block in blocks] == [(0, 0), (3, 3)]
    rates = [
        block.drop_path1.drop_prob
        for stage in SwinBackbone(PSALMConfig.small(swin_drop_path=0.7)).layers
        for block in stage.blocks
        if hasattr(block.drop_path1, "drop_prob")
    ]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_gradients_reach_every_parameter(backbone):
    sum(level.square().mean() for level in backbone.train()(torch.randn(1, 3, 64, 64))).backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("image", ["A", "B", "C", "D2", "D3"])
def test_parity_with_the_official_backbone(golden, vision_weights, image):
    backbone = SwinBackbone(PSALMConfig.small()).eval()
    backbone.load_state_dict(vision_weights("backbone"))
    expected = load_file(golden(f"img_{image}.safetensors"))
    with torch.no_grad():
        pyramid = backbone(expected["image"])
    for level, name in zip(pyramid, ("res2", "res3", "res4", "res5"), strict=True):
        torch.testing.assert_close(level, expected[name], rtol=0, atol=1e-4)


def test_parity_with_the_official_backbone_of_the_published_window(golden):
    """Window 12 on an image that is neither square nor a multiple of the window."""
    expected = load_file(golden("swin_window12.safetensors"))
    config = PSALMConfig.small(swin_embed_dim=8, swin_depths=(2, 2, 4, 2), swin_window=12)
    backbone = SwinBackbone(config).eval()
    renamed = {
        rename_vision(f"model.vision_tower.{key[2:]}"): tensor
        for key, tensor in expected.items()
        if key.startswith("w.")
    }
    backbone.load_state_dict({name.removeprefix("backbone."): tensor for name, tensor in renamed.items() if name})
    with torch.no_grad():
        pyramid = backbone(expected["image"])
    for level, name in zip(pyramid, ("res2", "res3", "res4", "res5"), strict=True):
        torch.testing.assert_close(level, expected[name], rtol=0, atol=1e-4)
