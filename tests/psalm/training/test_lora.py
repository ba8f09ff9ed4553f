"""Additions of low rank learn while the weights rest, and end as plain weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from psalm.checkpoint import load_model
from psalm.config import PSALMConfig
from psalm.errors import ConfigError
from psalm.modeling.input_sequence import InputSequence
from psalm.modeling.psalm import PSALM
from psalm.training import TrainConfig, train
from psalm.training.config import LoraConfig, StageConfig
from psalm.training.lora import MARK, add_lora, has_lora, merge_lora
from psalm.training.sources import build_model
from psalm.training.stage_loop import prepare_model


@pytest.fixture
def model() -> PSALM:
    return PSALM(PSALMConfig.small(image_size=64, decoder_layers=1, pixel_decoder_layers=1)).eval()


def read(model: PSALM) -> torch.Tensor:
    embeddings = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.language_model(InputSequence(embeddings, (5,), ((0, 0),), ((),)))


def test_additions_begin_with_nothing_and_merge_into_the_weights(model: PSALM) -> None:
    names, plain = set(model.state_dict()), read(model)
    add_lora(model.language_model, LoraConfig(rank=2))
    torch.testing.assert_close(read(model), plain)
    with torch.no_grad():
        for name, parameter in model.language_model.named_parameters():
            if MARK in name:
                parameter.normal_(std=0.1)
    taught = read(model)
    assert not torch.allclose(taught, plain, atol=1e-3)
    merge_lora(model.language_model)
    torch.testing.assert_close(read(model), taught, atol=1e-4, rtol=1e-4)
    assert set(model.state_dict()) == names and not has_lora(model.language_model)


def test_only_additions_of_the_language_model_are_trained(model: PSALM) -> None:
    stage = StageConfig("x", 1, train=("*",), freeze=("backbone", "*.bias"), lora=LoraConfig(rank=2))
    prepare_model(model, stage)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    language = {name for name in trained if name.startswith("language_model")}
    assert language and all(MARK in name for name in language)
    assert not any(name.startswith("backbone") or name.endswith(".bias") for name in trained)
    assert "projector.linear.weight" in trained


def test_layers_that_do_not_exist_are_refused(model: PSALM) -> None:
    with pytest.raises(ConfigError, match=r"lora\.modules"):
        add_lora(model.language_model, LoraConfig(modules=("nothing",)))


def test_a_stage_with_lora_is_saved_as_plain_weights(settings: dict[str, Any]) -> None:
    settings["stages"][0].update(lora={"rank": 2}, train=["query_projector"], tasks={"instance": 1})
    torch.manual_seed(0)
    before = build_model(TrainConfig.from_dict(copy.deepcopy(settings)).model)[0].state_dict()
    after = load_model(
        Path(train(TrainConfig.from_dict(settings), progress=False).folder) / "model", device="cpu"
    ).model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(after)
    assert "query_projector.weight" in changed
    layers = {name for name in changed if name.startswith("language_model")}
    assert layers and all(name.endswith(("proj.weight", "dense.weight", "fc1.weight", "fc2.weight")) for name in layers)
