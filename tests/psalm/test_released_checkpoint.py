"""A checkpoint as the published code writes it: loaded as it is, converted once, found by its name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from psalm.checkpoint import load_model
from psalm.cli.main import app
from psalm.config import PSALMConfig
from psalm.conversion import convert_model
from psalm.errors import CheckpointError, ConfigError, OutputError
from psalm.hub import fetch
from psalm.model_tokenizer import add_special_tokens, read_tokenizer
from psalm.official_config import read_official_config
from psalm.predictor import PSALMPredictor
from psalm.prompts import template_texts
from psalm.weight_files import read_weights, write_weights
from tests.psalm.fake_hub import serving

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SIZES = json.loads((GOLDEN / "tiny_config.json").read_text())


@pytest.fixture(scope="module")
def official() -> dict[str, Tensor]:
    return load_file(GOLDEN / "tiny_official.safetensors")


@pytest.fixture(scope="module")
def phi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer of the kind that Phi has, with fewer words and without PSALM's tokens."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=390, special_tokens=["<|endoftext|>"], initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(template_texts(), trainer)
    folder = tmp_path_factory.mktemp("phi")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def tiny_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded checkpoint is smaller than its config.json can say: the rest stands in the published code."""

    def read(values: Any, mask_config: Any = None) -> PSALMConfig:
        read_official_config(values | {"mm_input_embeds": 1024})  # the fields are read as they would be
        return PSALMConfig.small()

    monkeypatch.setattr("psalm.checkpoint.read_official_config", read)


@pytest.fixture
def released(tmp_path: Path, official: dict[str, Tensor], phi: Path, tiny_sizes: None) -> Path:
    """A folder like the release: sharded half precision weights, its config, a plain tokenizer."""
    folder = tmp_path / "released"
    shutil.copytree(phi, folder)
    half = {k: v.half() if v.is_floating_point() else v for k, v in official.items()}
    write_weights(folder, half, largest_part=1_000_000)
    (folder / "config.json").write_text(json.dumps(SIZES["llm_config"]))
    return folder


def same(one: Any, other: Any, tolerance: float = 0.0) -> None:
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name].float(), tensor.float(), rtol=tolerance, atol=tolerance)


def test_the_released_folder_loads_as_it_is(released: Path, official: dict[str, Tensor]) -> None:
    assert len(list(released.glob("model-*-of-*.safetensors"))) > 3
    loaded = load_model(released, device="cpu")
    assert not any(tensor.is_meta for tensor in (*loaded.model.parameters(), *loaded.model.buffers()))
    seg_query = loaded.model.get_parameter("mask_generator.seg_query")
    torch.testing.assert_close(seg_query, official["seg_query"].half().float())
    assert loaded.tokenizer.convert_tokens_to_ids("[SEG]") == len(loaded.tokenizer) - 1
    assert loaded.config.region_pooling == "mask"


@pytest.mark.parametrize("layout", ["single", "bin", "bin parts", "file"])
def test_every_layout_of_the_weights_gives_the_same_model(released: Path, layout: str) -> None:
    expected, state, source = load_model(released, device="cpu").model, read_weights(released), released
    for path in released.glob("model*"):
        path.unlink()
    if layout == "single":
        save_file(state, released / "model.safetensors")
    elif layout == "bin":
        torch.save(state, released / "pytorch_model.bin")
    elif layout == "file":
        save_file(state, released / "mine.safetensors")
        source = released / "mine.safetensors"
    else:
        keys = sorted(state)
        parts = {f"pytorch_model-{i}.bin": keys[i::2] for i in range(2)}
        for name, chosen in parts.items():
            torch.save({key: state[key] for key in chosen}, released / name)
        index = {"weight_map": {key: name for name, chosen in parts.items() for key in chosen}}
        (released / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    same(expected, load_model(source, device="cpu").model)


def test_a_pickle_that_would_run_code_is_refused(released: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    for path in released.glob("model*"):
        path.unlink()
    torch.save({"seg_query": Trap()}, released / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load_model(released, device="cpu")
    assert not (tmp_path / "sprung").exists()


def test_a_missing_part_is_named(released: Path) -> None:
    lost = sorted(released.glob("model-*-of-*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(CheckpointError, match=lost.name):
        load_model(released, device="cpu")


def test_a_conversion_is_ours_and_gives_the_same_answers(released: Path, tmp_path: Path) -> None:
    before = load_model(released, device="cpu")
    folder = convert_model(released, tmp_path / "ours", largest_part=1_000_000)
    after = load_model(folder, device="cpu")
    same(before.model, after.model)
    assert after.config == before.config and after.info["converted_from"] == str(released)
    assert after.tokenizer.get_vocab() == before.tokenizer.get_vocab()
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 3
    with pytest.raises(OutputError, match="--overwrite"):
        convert_model(released, folder)
    convert_model(released, folder, dtype=torch.bfloat16, overwrite=True)
    assert [path.name for path in folder.glob("model*")] == ["model.safetensors"]
    same(before.model, load_model(folder, device="cpu").model, tolerance=0.01)


def test_all_weights_get_the_precision_that_was_asked_for(released: Path) -> None:
    model = load_model(released, device="cpu", dtype=torch.bfloat16).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_the_command_converts(released: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["convert", str(released), str(tmp_path / "ours"), "--dtype", "bfloat16"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "ours" / "config.json").exists()


def test_a_fetched_name_loads_without_the_network(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with serving(released) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(CheckpointError, match="psalm fetch owner/tiny"):
            load_model("owner/tiny", device="cpu")
        assert hub.requests == []
        fetch("owner/tiny")
        asked = len(hub.requests)
        predictor = PSALMPredictor.from_pretrained("owner/tiny", device="cpu")
        assert len(hub.requests) == asked
    same(load_model(released, device="cpu").model, predictor.model)


def test_a_checkpoint_without_its_tokenizer_says_what_is_missing(released: Path, phi: Path) -> None:
    (released / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing.*vocab\.json and merges\.txt.*Phi-1\.5"):
        load_model(released, device="cpu")
    assert load_model(released, device="cpu", tokenizer=phi).tokenizer.encode("a") != []


def test_special_tokens_come_in_the_published_order(phi: Path) -> None:
    plain = len(PreTrainedTokenizerFast(tokenizer_file=str(phi / "tokenizer.json")))
    tokenizer = read_tokenizer(phi, 400)
    assert [tokenizer.convert_tokens_to_ids(token) for token in ("[PAD]", "[SEG]")] == [plain, plain + 1]
    seg = tokenizer.encode(" [/INST] \n[SEG]", add_special_tokens=False)
    assert seg[-1] == plain + 1 and seg.count(plain + 1) == 1
    padded = PreTrainedTokenizerFast(tokenizer_file=str(phi / "tokenizer.json"), pad_token="<|endoftext|>")
    add_special_tokens(padded)
    assert padded.convert_tokens_to_ids("[SEG]") == plain
    add_special_tokens(padded)
    assert len(padded) == plain + 1


def test_a_pair_of_vocabulary_and_merges_will_do(phi: Path, tmp_path: Path) -> None:
    model = json.loads((phi / "tokenizer.json").read_text())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    legacy, modern = read_tokenizer(tmp_path, 1000), read_tokenizer(phi, 1000)
    for text in (*template_texts(), "[SEG]"):
        ids = legacy.encode(text, add_special_tokens=False)
        assert ids == modern.encode(text, add_special_tokens=False)


def test_the_published_config_is_read() -> None:
    values = {"model_type": "llava_phi", "swin_type": "base", "mm_projector_type": "swin_conv", "vocab_size": 50297}
    values |= {"hidden_size": 2048, "mm_input_embeds": 1024, "projector_outdim": 2048, "mask_decode_train": True}
    assert read_official_config(values) == PSALMConfig()
    large = read_official_config(values | {"swin_type": "large", "mm_input_embeds": 1536})
    assert (large.swin_embed_dim, large.swin_heads) == (192, (6, 12, 24, 48))
    for wrong in ({"mm_projector_type": "linear"}, {"mm_input_embeds": 1536}, {"mask_decode_train": False}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            read_official_config(values | wrong)


def test_recorded_sizes_are_read_as_the_small_config() -> None:
    config = read_official_config(SIZES["llm_config"], SIZES["mask_config"])
    small = PSALMConfig.small()
    for field in ("num_mask_tokens", "decoder_layers", "pixel_decoder_layers", "lm_heads", "swin_window", "image_size"):
        assert getattr(config, field) == getattr(small, field)


def test_a_real_tokenizer_gives_the_recorded_ids(golden: Callable[[str], Path]) -> None:
    from psalm.hub import cached

    folder = cached("psalm-1.3b") or cached("microsoft/phi-1_5")
    if folder is None:
        pytest.skip("no tokenizer of the published model was fetched on this computer")
    tokenizer = read_tokenizer(folder, 60_000)
    recorded = json.loads(golden("real_tokenizer_prompts.json").read_text())
    for sentence, ids in recorded["refer_ids"].items():
        assert [*tokenizer.encode(sentence, add_special_tokens=False), tokenizer.get_vocab()["[SEG]"]] == ids
