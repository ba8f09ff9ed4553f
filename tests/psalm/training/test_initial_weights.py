"""Weights of other makers arrive in the right place, and files that could run a program do not open."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from psalm.checkpoint import read_weights
from psalm.config import PSALMConfig
from psalm.errors import AnnotationError, ConfigError
from psalm.modeling.psalm import PSALM
from psalm.prompts import IMAGE, MASK_TOKENS, Prompt
from psalm.training.initial_weights import (
    read_backbone,
    read_mask2former,
    read_phi,
    read_projector,
    with_semantic_columns,
)
from psalm.training.sources import load_partly
from tests.psalm.modeling.builders import two_way_config


@pytest.fixture(scope="module")
def model() -> PSALM:
    return PSALM(PSALMConfig.small(image_size=64, decoder_layers=1, pixel_decoder_layers=1))


def write_pickle(path: Path, state: dict[str, Any]) -> str:
    path.write_bytes(pickle.dumps({"model": state, "__author__": "third_party", "matching_heuristics": True}))
    return str(path)


def test_a_model_gives_its_backbone_alone(model: PSALM, tmp_path: Path) -> None:
    other = PSALM(model.config)
    save_file({name: tensor.half() for name, tensor in other.state_dict().items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    read = read_backbone(str(tmp_path), model)
    assert set(read) == {f"backbone.{name}" for name in other.backbone.state_dict()}
    load_partly(model, read, "model")
    save_file({"projector.linear.bias": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=r"model\.backbone"):
        read_backbone(str(tmp_path), model)


def test_mask2former_gives_backbone_and_decoders(model: PSALM, tmp_path: Path) -> None:
    mine = model.state_dict()
    names = {
        "backbone.patch_embed.proj.weight": "backbone.patch_embed.proj.weight",
        "backbone.norm2.weight": "backbone.norms.2.weight",
        "sem_seg_head.pixel_decoder.adapter_1.weight": "mask_generator.pixel_decoder.lateral.0.weight",
        "sem_seg_head.pixel_decoder.adapter_1.norm.bias": "mask_generator.pixel_decoder.lateral.1.bias",
        "sem_seg_head.pixel_decoder.mask_features.weight": "mask_generator.pixel_decoder.mask_features.weight",
        "sem_seg_head.pixel_decoder.transformer.level_embed": "mask_generator.pixel_decoder.level_embed",
        "sem_seg_head.predictor.query_embed.weight": "mask_generator.transformer_decoder.query_embed",
        "sem_seg_head.predictor.mask_embed.layers.0.weight":
            "mask_generator.transformer_decoder.mask_head.layers.0.weight",
    }  # fmt: skip
    state = {theirs: np.random.default_rng(0).random(mine[ours].shape, np.float32) for theirs, ours in names.items()}
    others = {
        "sem_seg_head.predictor.class_embed.weight": np.zeros((134, 64), np.float32),
        "sem_seg_head.predictor.query_feat.weight": np.zeros((20, 64), np.float32),
        "backbone.layers.0.blocks.0.attn.relative_position_index": np.zeros((49, 49), np.int64),
        "criterion.empty_weight": np.zeros(134, np.float32),
    }
    read = read_mask2former(write_pickle(tmp_path / "m.pkl", state | others), model)
    assert set(read) == set(names.values())
    load_partly(model, read, "m.pkl")
    for theirs, ours in names.items():
        np.testing.assert_array_equal(model.state_dict()[ours].numpy(), state[theirs])


def test_another_file_is_no_mask2former(model: PSALM, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mask2former"):
        read_mask2former(write_pickle(tmp_path / "m.pkl", {"stem.conv1.weight": np.zeros(3)}), model)


class Program:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("bad", [Program(), np.array([Program()], dtype=object)])
def test_a_pickle_that_is_a_program_is_refused(model: PSALM, tmp_path: Path, bad: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AnnotationError, match="not a pickle of plain data and arrays"):
        read_mask2former(write_pickle(tmp_path / "m.pkl", {"backbone.x": bad}), model)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize("fused", [False, True])
def test_phi_gives_the_language_model(model: PSALM, tmp_path: Path, fused: bool) -> None:
    mine = {n: t for n, t in model.state_dict().items() if n.startswith("language_model.")}
    generator = torch.Generator().manual_seed(0)
    wanted = {name: torch.rand(tensor.shape, generator=generator) for name, tensor in mine.items()}
    phi = {name.removeprefix("language_model."): tensor for name, tensor in wanted.items()}
    rows = 450  # Phi's own table is longer than the model's, or shorter
    phi["model.embed_tokens.weight"] = torch.rand(rows, 64, generator=generator)
    phi["lm_head.weight"] = torch.rand(rows - 100, 64, generator=generator)
    phi["lm_head.bias"] = torch.zeros(rows - 100)
    save_file(_fused(phi) if fused else phi, tmp_path / "model.safetensors")
    read = read_phi(str(tmp_path), model)
    assert set(read) == set(mine)
    words, head = "language_model.model.embed_tokens.weight", "language_model.lm_head.weight"
    for name in set(mine) - {words, head}:
        assert torch.equal(read[name], wanted[name]), name
    assert torch.equal(read[words], phi["model.embed_tokens.weight"][:400])
    assert torch.equal(read[head][:350], phi["lm_head.weight"]) and torch.equal(read[head][350:], mine[head][350:])


def _fused(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Queries, keys and values in one tensor, interleaved per head, as transformers 4.36 had them."""
    fused = {name: tensor for name, tensor in state.items() if "_proj." not in name}
    for name in [name for name in state if "q_proj." in name]:
        parts = [state[name.replace("q_proj", f"{x}_proj")].unflatten(0, (4, -1)) for x in "qkv"]
        fused[name.replace("q_proj", "query_key_value")] = torch.stack(parts, 1).flatten(0, 2).clone()
    return fused


@pytest.mark.parametrize("published", [False, True])
def test_a_projector_of_stage_1_is_taken_alone(model: PSALM, tmp_path: Path, published: bool) -> None:
    other = PSALM(model.config)
    if published:
        names = {"conv1": "layer1.0.conv1", "conv2": "layer1.0.conv2", "norm1": "layer1.0.bn1", "norm2": "layer1.0.bn2",
                 "shortcut": "layer1.0.downsample", "linear": "fc"}  # fmt: skip
        state = {}
        for name, tensor in other.projector.state_dict().items():
            part, _, rest = name.partition(".")
            state[f"model.mm_projector.{names[part]}.{rest}"] = tensor
        torch.save(state, tmp_path / "mm_projector.bin")
        path = str(tmp_path / "mm_projector.bin")
    else:
        save_file({name: tensor.clone() for name, tensor in other.state_dict().items()}, tmp_path / "model.safetensors")
        assert read_weights(tmp_path)
        path = str(tmp_path)
    read = read_projector(path, model)
    assert set(read) == {f"projector.{name}" for name in other.projector.state_dict()}
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in read.items())


@torch.no_grad()
def test_a_model_that_gets_a_semantic_backbone_answers_as_before() -> None:
    torch.manual_seed(0)
    plain = PSALM(two_way_config()).eval()
    standardise = plain.mask_generator.standardise  # type: ignore[union-attr]
    standardise.measure(torch.randn(50, len(standardise.mean)))
    torch.nn.init.normal_(plain.mask_generator.category_head.layers[-1].weight)  # type: ignore[union-attr]
    seeing = PSALM(two_way_config(semantic_backbone="tf_efficientnet_lite0", semantic_size=64)).eval()
    load_partly(seeing, with_semantic_columns(plain.state_dict(), seeing), "")
    assert not seeing.mask_generator.standardise.measured  # type: ignore[union-attr]
    prompt = Prompt((1, IMAGE, 5, 6, MASK_TOKENS, 2), ((2, 3), (3, 4)), "categories")
    image = torch.randn(1, 3, 96, 96)
    before, after = (model(image, [prompt])[-1].condition_logits for model in (plain, seeing))
    assert before.abs().sum() > 0
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)
    again = with_semantic_columns(seeing.state_dict(), seeing)
    assert all(torch.equal(again[name], tensor) for name, tensor in seeing.state_dict().items())
