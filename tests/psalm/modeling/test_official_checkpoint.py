"""The published checkpoint's names and layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from psalm.checkpoint import load_official_state_dict
from psalm.config import PSALMConfig
from psalm.errors import CheckpointError
from psalm.modeling.psalm import PSALM


@pytest.fixture
def official(golden: Callable[[str], Path]) -> dict[str, Tensor]:
    return load_file(golden("tiny_official.safetensors"))


def test_the_published_names_load_completely(official: dict[str, Tensor]) -> None:
    unused = load_official_state_dict(PSALM(PSALMConfig.small()), official)
    assert {"predictor.query_feat.weight", "predictor.SEG_query_embed.weight"} <= set(unused)
    assert len(unused) == 10


def test_separate_projections_load_as_fused_ones_do(official: dict[str, Tensor]) -> None:
    fused, separate = PSALM(PSALMConfig.small()), PSALM(PSALMConfig.small())
    load_official_state_dict(fused, official)
    split = {}
    for name, tensor in official.items():
        if "query_key_value" in name:
            for i, part in enumerate(("q_proj", "k_proj", "v_proj")):
                rows = [head * 48 + i * 16 + row for head in range(4) for row in range(16)]
                split[name.replace("query_key_value", part)] = tensor[rows]
        else:
            split[name] = tensor
    load_official_state_dict(separate, split)
    for name, tensor in fused.state_dict().items():
        assert torch.equal(separate.state_dict()[name], tensor), name


def test_names_left_over_or_missing_are_listed(official: dict[str, Tensor]) -> None:
    model = PSALM(PSALMConfig.small())
    with pytest.raises(CheckpointError, match=r"something\.weight"):
        load_official_state_dict(model, official | {"something.weight": torch.ones(1)})
    del official["seg_query"]
    with pytest.raises(CheckpointError, match=r"missing: mask_generator\.seg_query"):
        load_official_state_dict(model, official)


def test_the_full_size_model_takes_every_published_tensor(golden: Callable[[str], Path]) -> None:
    listed = json.loads(golden("full_state_dict.json").read_text())["state_dict"]
    with torch.device("meta"):
        model = PSALM(PSALMConfig())
        state = {name: torch.empty(entry["shape"]) for name, entry in listed.items()}
    unused = load_official_state_dict(model, state)
    assert len(state) == 935 and len(unused) == 26
