"""A tiny model, tokenizer and data source for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

WORDS = ["[UNK]", "[SEG]", "[REF]", "the", "red", "green", "circle", "square", "cell", "left", ",", ".", "background"]


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word tokenizer of a few words."""
    words = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.add_special_tokens(["[SEG]", "[REF]"])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    words.save(str(path))
    return path


@pytest.fixture
def tokenizer(tokenizer_file: Path) -> PreTrainedTokenizerFast:
    """The same, loaded."""
    return PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file))


@pytest.fixture
def settings(tmp_path: Path, tokenizer_file: Path) -> dict[str, Any]:
    """Plain values of a small training config."""
    sizes = dict(
        image_size=96,
        backbone="swin",
        swin_embed_dim=16,
        swin_depths=[2, 2, 2, 2],
        swin_heads=[1, 2, 4, 8],
        swin_window=7,
        swin_drop_path=0.1,
        projector_dim=32,
        vocab_size=400,
        lm_hidden=64,
        lm_intermediate=128,
        lm_layers=2,
        lm_heads=4,
        max_length=1024,
        num_mask_tokens=8,
        hidden_dim=64,
        mask_dim=64,
        pixel_decoder_layers=1,
        decoder_layers=3,
        decoder_ffn=128,
    )
    return {
        "output": str(tmp_path / "run"),
        "model": {"config": sizes, "tokenizer": str(tokenizer_file)},
        "data": [{"kind": "scenes", "options": {"count": 2, "size": [64, 96]}}],
        "stages": [
            {"name": "all", "steps": 4, "batch_size": 1, "lr": 1e-3, "variants": 1, "criterion": {"num_points": 64}}
        ],
        "workers": 0,
        "device": "cpu",
        "log_every": 1,
    }
