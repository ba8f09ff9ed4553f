"""Following is learnt into a model folder whose other weights stay; a model is not overwritten unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from psalm.checkpoint import load_model, read_weights, save_model
from psalm.errors import OutputError
from psalm.modeling.psalm import PSALM
from psalm.modeling.sameness import Sameness
from psalm.weight_files import write_weights
from tests.psalm.modeling.builders import two_way_config
from tools.learn_following import main, write

NEW = ("mask_generator.sameness.weight", "mask_generator.sameness.bias")


@pytest.fixture(params=[torch.float16, torch.float32])
def older(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A model folder without what is learnt here, in half or full precision."""
    folder = tmp_path / "older"
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]")))
    words.add_special_tokens({"additional_special_tokens": ["[SEG]", "[REF]"]})
    torch.manual_seed(0)
    save_model(folder, PSALM(two_way_config()), words, {"names": ["cell"]}, dtype=request.param)
    write_weights(folder, {name: value for name, value in read_weights(folder).items() if name not in NEW})
    return folder


def learnt() -> Sameness:
    sameness = Sameness()
    torch.nn.init.constant_(sameness.weight, 0.3)
    return sameness


def test_all_other_weights_stay_to_the_last_bit(older: Path, tmp_path: Path) -> None:
    write(older, tmp_path / "new", learnt())
    before, after = read_weights(older), read_weights(tmp_path / "new")
    assert set(after) - set(before) == set(NEW)
    assert all(after[name].dtype == value.dtype and torch.equal(after[name], value) for name, value in before.items())
    assert after[NEW[0]].dtype == before["mask_generator.seed_head.out.weight"].dtype
    loaded = load_model(tmp_path / "new", device="cpu")
    assert loaded.info == {"names": ["cell"]}
    weight = loaded.model.mask_generator.sameness.weight  # type: ignore[union-attr]
    torch.testing.assert_close(weight.detach(), torch.full((12,), 0.3), atol=1e-3, rtol=0)


def test_a_folder_may_be_its_own_output(older: Path) -> None:
    write(older, older, learnt())
    assert load_model(older, device="cpu").info == {"names": ["cell"]}
    assert torch.allclose(read_weights(older)[NEW[0]].float(), torch.tensor(0.3), atol=1e-3)


def test_a_model_is_not_overwritten_unasked(older: Path) -> None:
    before = (older / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        main(["--model", str(older), "--out", str(older)])
    assert (older / "model.safetensors").read_bytes() == before
