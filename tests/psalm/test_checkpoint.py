"""Model folders survive a round trip, and what is missing is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from psalm.checkpoint import find_model, load_model, read_weights, save_model
from psalm.config import PSALMConfig
from psalm.errors import CheckpointError
from psalm.modeling.psalm import PSALM
from psalm.prompts import IMAGE, MASK_TOKENS, Prompt
from psalm.weight_files import write_weights

CONFIG = PSALMConfig.small(decoder_layers=1, pixel_decoder_layers=1)


@pytest.fixture(scope="module")
def model() -> PSALM:
    torch.manual_seed(0)
    return PSALM(CONFIG).eval()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({"[UNK]": 0, "cell": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.add_special_tokens(["[SEG]"])
    return PreTrainedTokenizerFast(tokenizer_object=words)


@pytest.fixture
def folder(tmp_path: Path, model: PSALM, tokenizer: PreTrainedTokenizerFast) -> Path:
    save_model(tmp_path / "model", model, tokenizer, {"names": ["cell"]})
    return tmp_path / "model"


def test_a_model_comes_back_as_it_was_saved(folder: Path, model: PSALM) -> None:
    loaded = load_model(folder, device="cpu")
    assert loaded.config == CONFIG and loaded.info == {"names": ["cell"]} and not loaded.model.training
    assert loaded.tokenizer.encode("cell[SEG]", add_special_tokens=False) == [1, 2]
    image = torch.randn(1, 3, CONFIG.image_size, CONFIG.image_size)
    with torch.no_grad():
        before, after = model.encode_image(image), loaded.model.encode_image(image)
    torch.testing.assert_close(after.image_tokens, before.image_tokens)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], tensor, rtol=0, atol=0)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "info.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_the_small_architecture_comes_back_too(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    config = PSALMConfig.small(backbone="tiny_vit", mask_generator="two_way", image_size=128)
    model = PSALM(config).eval()
    save_model(tmp_path, model, tokenizer)
    loaded = load_model(tmp_path, device="cpu").model
    assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))
    image, prompt = torch.randn(1, 3, 128, 128), Prompt((0, IMAGE, 1, MASK_TOKENS), ((2, 3),), "categories")
    with torch.no_grad():
        before, after = (each(image, [prompt])[-1] for each in (model, loaded))
    torch.testing.assert_close(after.condition_logits, before.condition_logits)


@pytest.mark.parametrize("precision", [torch.float16, torch.float32])
def test_a_small_model_from_before_it_learnt_to_follow_still_loads(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, precision: torch.dtype
) -> None:
    model = PSALM(PSALMConfig.small(backbone="tiny_vit", mask_generator="two_way", image_size=128))
    save_model(tmp_path, model, tokenizer, dtype=precision)
    new = {name for name in model.state_dict() if name.startswith("mask_generator.sameness.")}
    assert len(new) == 2
    write_weights(tmp_path, {name: value for name, value in read_weights(tmp_path).items() if name not in new})
    loaded = load_model(tmp_path, device="cpu", dtype=precision).model
    assert {parameter.dtype for parameter in loaded.parameters()} == {precision}
    for name in new:
        assert torch.equal(loaded.state_dict()[name], model.state_dict()[name].to(precision))


def test_a_small_model_with_half_of_what_it_learnt_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    save_model(tmp_path, PSALM(PSALMConfig.small(mask_generator="two_way", backbone="tiny_vit")), tokenizer)
    state = read_weights(tmp_path)
    del state["mask_generator.sameness.bias"]
    write_weights(tmp_path, state)
    with pytest.raises(CheckpointError, match=r"missing: mask_generator\.sameness\.bias"):
        load_model(tmp_path, device="cpu")


def test_loading_never_writes_to_the_file(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    loaded = load_model(folder, device="cpu")
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.add_(1)
    assert (folder / "model.safetensors").read_bytes() == before


def test_half_precision_halves_the_file_and_loads_as_float32(
    folder: Path, model: PSALM, tokenizer: PreTrainedTokenizerFast
) -> None:
    size = (folder / "model.safetensors").stat().st_size
    save_model(folder, model, tokenizer, dtype=torch.float16)
    assert (folder / "model.safetensors").stat().st_size < 0.6 * size
    assert {p.dtype for p in load_model(folder, device="cpu").model.parameters()} == {torch.float32}
    half = load_model(folder, device="cpu", dtype=torch.bfloat16).model
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}


def test_in_half_precision_running_variances_alone_stay_as_they_are(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = PSALM(PSALMConfig.small(backbone="tiny_vit", mask_generator="two_way", image_size=128))
    save_model(tmp_path, model, tokenizer, dtype=torch.float16)
    state = read_weights(tmp_path)
    for ending, precision in (("running_mean", torch.float16), ("running_var", torch.float32)):
        assert {value.dtype for name, value in state.items() if name.endswith(ending)} == {precision}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_missing_or_damaged_file_is_named(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=name if damage == "cut" or name == "tokenizer.json" else ""):
        load_model(folder, device="cpu")


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(CheckpointError, match="no model 'psalm-huge'"):
        find_model("psalm-huge")


def test_weights_of_another_size_are_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_mask_tokens": 7}))
    with pytest.raises(CheckpointError, match=r"seg_query \(20, 64\) instead of \(7, 64\)"):
        load_model(folder, device="cpu")


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 2}))
    with pytest.raises(CheckpointError, match="3 tokens"):
        load_model(folder, device="cpu")


def test_pickled_weights_run_no_code(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "good.bin")
    assert read_weights(tmp_path / "good.bin")["a"].tolist() == [1, 1]
    torch.save({"a": Path("x")}, tmp_path / "bad.bin")
    with pytest.raises(CheckpointError, match=r"bad\.bin"):
        read_weights(tmp_path / "bad.bin")


def test_a_folder_of_parts_is_read_whole(tmp_path: Path) -> None:
    for i in range(2):
        save_file({f"part{i}": torch.ones(1)}, tmp_path / f"model-{i}.safetensors")
    assert sorted(read_weights(tmp_path)) == ["part0", "part1"]
