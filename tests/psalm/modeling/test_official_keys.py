from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from psalm.config import PSALMConfig
from psalm.modeling.mask_generator import Mask2FormerGenerator
from psalm.modeling.official_keys import is_unused, rename_vision
from psalm.modeling.projector import Projector
from psalm.modeling.swin import SwinBackbone


def _image_side(config: PSALMConfig) -> nn.Module:
    """Backbone, projector and mask generator under the names they have in the model, without memory."""
    with torch.device("meta"):
        backbone = SwinBackbone(config)
        projector = Projector(backbone.channels[-1], config.projector_dim, config.lm_hidden)
        generator = Mask2FormerGenerator(config, backbone.channels)
    return nn.ModuleDict({"backbone": backbone, "projector": projector, "mask_generator": generator})


@pytest.mark.parametrize(
    ("official", "ours"),
    [
        ("model.vision_tower.layers.2.downsample.norm.bias", "backbone.layers.2.downsample.norm.bias"),
        ("model.vision_tower.norm3.weight", "backbone.norms.3.weight"),
        ("model.mm_projector.layer1.0.bn2.running_var", "projector.norm2.running_var"),
        ("predictor.level_embed.weight", "mask_generator.transformer_decoder.level_embed"),
        (
            "predictor.transformer_cross_attention_layers.8.multihead_attn.in_proj_bias",
            "mask_generator.transformer_decoder.layers.8.cross_attention.in_proj.bias",
        ),
    ],
)
def test_names(official, ours):
    assert rename_vision(official) == ours


@pytest.mark.parametrize("key", ["model.layers.0.mlp.fc1.weight", "class_name_projector.bias", "lm_head.weight"])
def test_other_parts_are_left_alone(key):
    assert rename_vision(key) is None
    assert not is_unused(key)


@pytest.mark.parametrize(
    "key", ["predictor.query_feat.weight", "model.vision_tower.layers.0.blocks.1.attn.relative_position_index"]
)
def test_unused_tensors_have_no_name(key):
    assert rename_vision(key) is None
    assert is_unused(key)


def test_the_published_checkpoint_fits_in_every_name_and_shape(golden):
    official = json.loads(golden("full_state_dict.json").read_text(encoding="utf-8"))["state_dict"]
    renamed = {rename_vision(key): tuple(entry["shape"]) for key, entry in official.items()}
    renamed.pop(None)
    ours = {name: tuple(tensor.shape) for name, tensor in _image_side(PSALMConfig()).state_dict().items()}
    assert renamed == ours


def test_the_image_side_of_the_published_size_runs_without_values():
    """Shapes and devices at 1024 pixels; nothing is made on another device on the way."""
    config = PSALMConfig()
    model = _image_side(config).eval()
    images = torch.empty(1, 3, 1024, 1024, device="meta")
    pyramid = model["backbone"](images)
    assert model["projector"](pyramid[-1]).shape == (1, 256, 2048)
    assert model["mask_generator"].encode(pyramid)["mask_features"].shape == (1, 256, 256, 256)
