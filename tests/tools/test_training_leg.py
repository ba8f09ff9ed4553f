"""A leg is packed, run and joined again; what is too big or damaged is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel

from psalm.checkpoint import load_model
from psalm.coco.rle import decode_segmentation, encode_mask
from psalm.errors import CheckpointError
from psalm.training import TrainConfig, train
from psalm.training.config import ModelConfig
from psalm.training.sources import build_model
from psalm.training.state import RunState
from tests.psalm.modeling.builders import two_way_config
from tools.leg.command import main
from tools.leg.pacing import paced, probe
from tools.leg.parts import join, split_folder
from tools.leg.shrink import shrink_mask, shrink_object
from tools.leg.wheels import install_missing

WORDS = ["[UNK]", "[SEG]", "[REF]", "the", "red", "square", "left", ",", "."]
SIZE = (60, 90)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config of two short stages on two labelled images, everything below ``source``."""
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    _write_images(source)
    words = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.add_special_tokens(["[SEG]", "[REF]"])
    words.save(str(source / "tokenizer.json"))
    labelled = {name: str(source / name) for name in ("annotations.json", "images", "refs.json")}
    options = {"annotations": labelled["annotations.json"], "images": labelled["images"]}
    entry = {"kind": "coco", "options": options | {"refs": labelled["refs.json"]}}
    stage = {"steps": 2, "batch_size": 1, "train": ["language_model"], "criterion": {"mask_loss": False}}
    values = {
        "output": str(tmp_path / "not-used"),
        "device": "cpu",
        "workers": 0,
        "log_every": 1,
        "model": {"config": two_way_config().to_dict(), "tokenizer": str(source / "tokenizer.json")},
        "data": [
            {**entry, "tasks": ["instance", "referring"]},
            {"kind": "coco", "options": {**options, "split": None}},
        ],
        "validation": {"data": [entry], "samples": 1},
        "stages": [
            {"name": "names", **stage, "tasks": {"instance": 1}},
            {"name": "sentences", **stage, "tasks": {"referring": 1}},
        ],
    }
    path = source / "config.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values))))
    return path


def _write_images(source: Path) -> None:
    content: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [{"id": 7, "name": "red square"}]}
    for number in (1, 2):
        mask = np.zeros(SIZE, dtype=bool)
        mask[10:40, 20 * number : 20 * number + 30] = True
        Image.fromarray((mask[..., None] * [255, 0, 0]).astype(np.uint8)).save(source / f"images/{number}.png")
        size = {"height": SIZE[0], "width": SIZE[1]}
        content["images"].append({"id": number, "file_name": f"{number}.png", "source": "squares", **size})
        content["annotations"].append(annotation(mask, id=10 + number, image_id=number))
    (source / "annotations.json").write_text(json.dumps(content))
    refs = [{"id": 1, "image_id": 1, "ann_ids": [11], "sentences": ["the red square"]}]
    (source / "refs.json").write_text(json.dumps(refs))


def annotation(mask: np.ndarray, **fields: int) -> dict[str, Any]:
    """A COCO annotation of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
    known = {"id": 1, "image_id": 1, "category_id": 7, "area": int(mask.sum()), "bbox": box}
    return known | {"segmentation": encode_mask(mask)} | fields


def pack(config: Path, leg: Path, *more: str) -> None:
    main(["pack", "--config", str(config), "--out", str(leg), "--side", "45", *more])


def run(leg: Path, out: Path, *more: str) -> None:
    main(["run", "--leg", str(leg), "--out", str(out), *(more or ("--minutes", "5"))])


def test_the_whole_circle(config: Path, tmp_path: Path) -> None:
    leg, came_back, model = tmp_path / "leg", tmp_path / "back", tmp_path / "runs/model"
    pack(config, leg)
    shutil.move(config.parent, tmp_path / "away")  # a leg needs nothing but its folder
    run(leg, came_back)
    assert not (tmp_path / "not-used").exists()
    main(["join", str(came_back), "--out", str(model)])
    loaded = load_model(model, device="cpu")
    assert loaded.info["trained_by"]["model"]["tokenizer"] == "tokenizer.json"
    assert load_file(model / "model.safetensors")["category_projector.weight"].dtype == torch.float16
    stages = {json.loads(line)["name"] for line in (model / "log.jsonl").read_text().splitlines()}
    assert stages == {"names", "sentences"}
    build_model(ModelConfig(init=str(model)))

    shutil.move(tmp_path / "away", config.parent)
    pack(config, leg, "--weights", str(model))
    again = load_file(leg / "weights.safetensors")
    state = loaded.model.state_dict()
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name].float(), value.float()) for name, value in state.items())


def test_the_data_are_smaller_and_fit_together(config: Path, tmp_path: Path) -> None:
    pack(config, tmp_path / "leg")
    values = yaml.safe_load((tmp_path / "leg/config.yaml").read_text())
    options = values["data"][0]["options"]
    assert values["validation"]["data"][0]["options"] == options
    with ZipFile(tmp_path / "leg/data.zip") as archive:
        assert len(archive.namelist()) == 4  # though three entries name them
        content = json.loads(archive.read(options["annotations"]))
        assert json.loads(archive.read(options["refs"]))[0]["ann_ids"] == [11]
        for image in content["images"]:
            with archive.open(f"{options['images']}/{image['file_name']}") as file, Image.open(file) as picture:
                assert picture.size == (image["width"], image["height"]) == (45, 30)
    mask = decode_segmentation(content["annotations"][1]["segmentation"], (30, 45))
    assert (int(mask.sum()), mask[5:20, 20:35].all()) == (15 * 15, True)
    assert content["annotations"][1]["bbox"] == [20, 5, 15, 15]


def test_a_leg_ends_in_time_and_keeps_what_it_learnt(config: Path, tmp_path: Path) -> None:
    pack(config, tmp_path / "leg")
    run(tmp_path / "leg", tmp_path / "back", "--minutes", "0", "--stage", "names", "--steps", "5000")
    training = json.loads((tmp_path / "back/manifest.json").read_text())["training"]
    assert not training["finished"]
    assert 1 <= training["step"] < 50
    join(tmp_path / "back", tmp_path / "model")
    trained = load_model(tmp_path / "model", device="cpu")
    assert [stage["name"] for stage in trained.info["trained_by"]["stages"]] == ["names"]


def test_weights_of_a_model_named_in_the_config_travel(config: Path, tmp_path: Path) -> None:
    pack(config, tmp_path / "leg")
    assert not (tmp_path / "leg/weights.safetensors").exists()
    run(tmp_path / "leg", tmp_path / "back", "--minutes", "0")
    join(tmp_path / "back", tmp_path / "model")
    values = yaml.safe_load(config.read_text())
    values["model"]["init"] = str(tmp_path / "model")
    config.write_text(yaml.safe_dump(values))
    pack(config, tmp_path / "leg")
    assert (tmp_path / "leg/weights.safetensors").exists()
    assert yaml.safe_load((tmp_path / "leg/config.yaml").read_text())["model"]["init"] is None


def test_an_unfinished_run_and_a_model_that_is_there_start_a_leg(config: Path, tmp_path: Path) -> None:
    leg = tmp_path / "leg"
    unfinished = train(TrainConfig.from_file(config), progress=False, stop_after=1)
    state = RunState.load(unfinished.folder / "state.pt").model
    pack(config, leg, "--weights", str(unfinished.folder / "state.pt"))
    weights = load_file(leg / "weights.safetensors")
    assert weights.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(weights[name].float(), value.float(), atol=1e-3, rtol=1e-3)
    model = train(TrainConfig.from_file(config), progress=False).folder / "model"
    pack(config, leg, "--init", str(model))
    assert not (leg / "weights.safetensors").exists()
    run(leg, tmp_path / "back", "--minutes", "0")
    join(tmp_path / "back", tmp_path / "model")
    assert load_model(tmp_path / "model", device="cpu").info["trained_by"]["model"]["init"] == str(model)


def test_over_the_budget_is_refused_and_the_older_leg_stays(config: Path, tmp_path: Path) -> None:
    leg = tmp_path / "leg"
    pack(config, leg)
    before = {path.name: path.read_bytes() for path in leg.iterdir()}
    (leg / "wheels").mkdir()
    (leg / "wheels/big.whl").write_bytes(bytes(2**20))
    with pytest.raises(SystemExit, match=r"wheels 1\.0.*budget is 0\.5 MiB.*--side"):
        pack(config, leg, "--budget", "0.5", "--quality", "20")
    assert {path.name: path.read_bytes() for path in leg.iterdir() if path.is_file()} == before


def test_a_stage_that_is_not_there_is_refused(config: Path, tmp_path: Path) -> None:
    pack(config, tmp_path / "leg")
    with pytest.raises(SystemExit, match=r"'colours'.*names, sentences"):
        run(tmp_path / "leg", tmp_path / "back", "--minutes", "1", "--stage", "colours")


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """A model folder, of any bytes, in parts of 100 bytes."""
    model, out = tmp_path / "model", tmp_path / "back"
    for folder in (model, out):
        folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "info.json"):
        (model / name).write_bytes(name.encode() * 20)
    return split_folder(model, out, {"finished": True}, part_bytes=100)


def test_parts_make_the_same_folder(parts: list[Path], tmp_path: Path) -> None:
    assert len(parts) > 10
    assert join(tmp_path / "back", tmp_path / "whole") == {"finished": True}
    assert (tmp_path / "whole/model.safetensors").read_bytes() == b"model.safetensors" * 20


@pytest.mark.parametrize("damage", ["flipped", "missing", "manifest"])
def test_a_damaged_part_is_refused(parts: list[Path], tmp_path: Path, damage: str) -> None:
    if damage == "flipped":
        content = bytearray(parts[3].read_bytes())
        content[50] ^= 1
        parts[3].write_bytes(content)
    elif damage == "missing":
        parts[3].unlink()
    else:
        (tmp_path / "back/manifest.json").write_text("{}")
    with pytest.raises(CheckpointError, match="manifest" if damage == "manifest" else r"model\.zip\.3"):
        join(tmp_path / "back", tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


def test_a_mask_keeps_what_covers_half_a_pixel() -> None:
    mask = np.zeros((4, 8), dtype=bool)
    mask[:2, :3] = True
    assert shrink_mask(mask, (2, 4)).tolist() == [[True, True, False, False], [False] * 4]


def test_an_object_that_vanishes_is_left_out() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[7, 7] = True
    assert shrink_object(annotation(mask), (40, 40), (20, 20)) is None
    same = shrink_object(annotation(mask), (40, 40), (40, 40))
    assert same and same["area"] == 1


def test_a_stage_takes_only_its_own_data(config: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(config.read_text())
    values["data"] = [values["data"][0] | {"tasks": ["referring"]}, {"kind": "scenes", "tasks": ["instance"]}]
    values["data"][1]["options"] = {"count": 2}
    values["validation"] = {}
    config.write_text(yaml.safe_dump(values))
    pack(config, tmp_path / "leg", "--stage", "sentences", "--per-source", "1")
    values = yaml.safe_load((tmp_path / "leg/config.yaml").read_text())
    assert [stage["name"] for stage in values["stages"]] == ["sentences"]
    assert [entry["kind"] for entry in values["data"]] == ["coco"]
    with ZipFile(tmp_path / "leg/data.zip") as archive:
        content = json.loads(archive.read("data0/annotations.json"))
        assert len(archive.namelist()) == 3
    assert len(content["images"]) == len(content["annotations"]) == 1
    run(tmp_path / "leg", tmp_path / "back")


def test_only_missing_packages_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("leg_test_package", "numpy"):
        about = f"{name}-1.dist-info"
        with ZipFile(tmp_path / f"{name}-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "answer = 42\n")
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert install_missing(tmp_path, tmp_path / "site") == ["leg_test_package"]
    assert import_module("leg_test_package").answer == 42
    assert not (tmp_path / "site/numpy.py").exists()


def test_stages_get_the_steps_that_the_time_allows(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.leg.pacing.probe", lambda _: [0.5, 0.01])
    names, sentences = paced(TrainConfig.from_file(config), (0.2, 0.1), 100).stages
    assert 38 <= names.steps <= 40 and 980 <= sentences.steps <= 1000


def test_a_run_in_little_tells_the_pace_of_each_stage(config: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(TrainConfig.from_file(config), output=str(tmp_path / "run"))
    paces = probe(settings)
    assert len(paces) == 2 and all(0 < pace < 5 for pace in paces)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("shares", [["0.5"], ["0.5", "0.6"], ["0.5", "0"]])
def test_shares_of_the_time_that_make_no_sense_are_refused(config: Path, tmp_path: Path, shares: list[str]) -> None:
    pack(config, tmp_path / "leg")
    with pytest.raises(SystemExit, match="--pace needs 2 shares"):
        run(tmp_path / "leg", tmp_path / "back", "--minutes", "1", "--pace", *shares)


def test_what_was_learnt_comes_back_from_a_run_that_broke(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psalm.training.stage_loop import StageLoop

    leg, back = tmp_path / "leg", tmp_path / "back"
    pack(config, leg)
    steps = StageLoop.step

    def breaks_in_the_second_stage(loop: StageLoop, *arguments: Any) -> bool:
        if loop.stage.name == "sentences":
            raise RuntimeError("the machine is gone")
        return steps(loop, *arguments)

    monkeypatch.setattr(StageLoop, "step", breaks_in_the_second_stage)
    with pytest.raises(RuntimeError, match="gone"):
        run(leg, back)
    assert not join(back, tmp_path / "model")["finished"]
    assert load_model(str(tmp_path / "model"), device="cpu").config == two_way_config()
