"""Following is learnt into a model folder whose other weights stay; a model is not overwritten unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from psalm.checkpoint import load_model, read_weights, save_model
from psalm.coco.rle import encode_mask
from psalm.data.clips import draw_clip
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


def write_pack(folder: Path) -> None:
    """A labelled folder with one clip of two frames."""
    (folder / "images").mkdir(parents=True)
    clip, content = draw_clip(1, 2), {"images": [], "annotations": [], "categories": [{"id": 1, "name": "object"}]}
    for number, (frame, label) in enumerate(zip(clip.frames, clip.labels, strict=True), 1):
        name, (height, width) = f"davis_dog_{number}.png", label.shape
        Image.fromarray(frame).save(folder / "images" / name)
        image = {"id": number, "file_name": name, "height": height, "width": width}
        content["images"].append(image | {"source": "davis2016", "split": "train"})
        one = {"id": number, "image_id": number, "category_id": 1, "area": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0}
        content["annotations"].append(one | {"segmentation": encode_mask(label == 1)})
    (folder / "annotations.json").write_text(json.dumps(content))


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


def test_the_command_learns_from_real_and_generated_clips(
    older: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pack(tmp_path / "pack")
    out = tmp_path / "new"
    main(["--model", str(older), "--pack", str(tmp_path / "pack"), "--out", str(out), "--generated", "1"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("davis_dog", "generated 100", "mean", "best draft"))
    assert not torch.allclose(read_weights(out)[NEW[0]].float(), Sameness().weight, atol=0.1)
    with pytest.raises(OutputError, match="holds a model already"):
        main(["--model", str(older), "--pack", str(tmp_path / "pack"), "--out", str(out)])


def test_a_folder_may_be_its_own_output(older: Path) -> None:
    write(older, older, learnt())
    assert load_model(older, device="cpu").info == {"names": ["cell"]}
    assert torch.allclose(read_weights(older)[NEW[0]].float(), torch.tensor(0.3), atol=1e-3)


def test_a_model_is_not_overwritten_unasked(older: Path) -> None:
    before = (older / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        main(["--model", str(older), "--out", str(older)])
    assert (older / "model.safetensors").read_bytes() == before
