from __future__ import annotations

import torch

from psalm.modeling.mobile_sam_keys import rename_mobile_sam
from psalm.modeling.tiny_vit import TinyViTBackbone
from tests.psalm.modeling.builders import two_way_config


@torch.no_grad()
def test_levels_keep_the_last_at_stride_16_and_images_apart() -> None:
    backbone = TinyViTBackbone(two_way_config()).eval()
    images = torch.randn(2, 3, 96, 80)
    levels = backbone(images)
    assert [tuple(level.shape) for level in levels] == [
        (2, channels, 96 // stride, 80 // stride)
        for channels, stride in zip(backbone.channels, (4, 8, 16, 16), strict=True)
    ]
    for level, alone in zip(levels, backbone(images[1:]), strict=True):
        torch.testing.assert_close(level[1:], alone, atol=1e-4, rtol=1e-4)


def test_names_of_mobile_sam() -> None:
    assert rename_mobile_sam("image_encoder.head.weight") is None
    assert rename_mobile_sam("image_encoder.neck.1.bias") == "mask_generator.neck.1.bias"
    assert (
        rename_mobile_sam("image_encoder.layers.1.downsample.conv1.c.weight")
        == "backbone.body.stages_2.downsample.conv1.conv.weight"
    )
    assert (
        rename_mobile_sam("prompt_encoder.point_embeddings.2.weight")
        == "mask_generator.prior_encoder.point_embeddings.weight[2]"
    )
    assert (
        rename_mobile_sam("mask_decoder.transformer.layers.0.mlp.lin2.bias")
        == "mask_generator.decoder.layers.0.mlp.layers.1.bias"
    )
