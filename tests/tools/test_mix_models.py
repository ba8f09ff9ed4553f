"""A mixture takes the named weights a share of the way, and leaves the others alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from psalm.checkpoint import load_model, save_model
from psalm.errors import ConfigError, OutputError
from tools import mix_models


def test_only_named_weights_go_a_share_of_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_model("psalm-tiny", device="cpu")
    folders = [tmp_path / "first", tmp_path / "second"]
    for value, folder in zip((1.0, 2.0), folders, strict=True):
        for module in (loaded.model.sentence_projector, loaded.model.category_projector):
            torch.nn.init.constant_(module.weight, value)
        save_model(folder, loaded.model, loaded.tokenizer, {"name": "psalm-tiny"})
    out = tmp_path / "mixed"
    words = ["mix_models", *map(str, folders), "--share", "0.25", "--only", "sentence_projector", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    mix_models.main()
    mixed = load_model(str(out), device="cpu").model
    assert mixed.sentence_projector.weight.unique().tolist() == [1.25]
    assert mixed.category_projector.weight.unique().tolist() == [1.0]
    with pytest.raises(OutputError, match="choose another folder"):
        mix_models.main()
    unknown = [
        "mix_models",
        *map(str, folders),
        "--share",
        "0.25",
        "--only",
        "sentence",
        "--out",
        str(tmp_path / "new"),
    ]
    monkeypatch.setattr(sys, "argv", unknown)
    with pytest.raises(ConfigError, match="'sentence'"):
        mix_models.main()
