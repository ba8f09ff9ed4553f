"""Both stages of the paper run from their shipped configs at a tiny size, and learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from psalm.checkpoint import load_model
from psalm.conditions import Task
from psalm.data.conversations import Conversations
from psalm.data.interactive import write_interactive
from psalm.modeling.conversation import IGNORE
from psalm.prompts import IMAGE
from psalm.training import TrainConfig, TrainResult, train
from psalm.training.config import CONVERSATION, StageConfig
from psalm.training.stage_loop import StageLoop
from psalm.training.talk import TalkCollator
from tests.psalm.data.published_layouts import (
    CAT,
    DOG,
    SIZE,
    SKY,
    make_coco,
    make_llava,
    make_refer,
    photograph,
    write_json,
)

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both stages read, under its usual names."""
    folder = tmp_path_factory.mktemp("data")
    make_coco(folder / "coco", "train")
    instances = folder / "coco/annotations/instances_train2017.json"
    write_interactive(instances, folder / "coco/coco_interactive_train_psalm.json")
    for name in ("refcoco", "refcoco+", "refcocog"):
        make_refer(folder / "refseg", name)
    make_llava(folder / "llava")
    for path in [*(folder / "coco").rglob("*.jpg"), *(folder / "refseg").rglob("*.jpg")]:
        picture = np.full((*SIZE, 3), 90, np.uint8)
        for mask, colour in ((CAT, (255, 0, 0)), (DOG, (0, 255, 0)), (SKY, (0, 0, 255))):
            picture[mask] = colour
        Image.fromarray(picture).save(path, quality=100)
    captions = {"black.jpg": "red circle the left", "white.jpg": "green square cell background"}
    for number, name in enumerate(captions):
        photograph(folder / "LLaVA-Pretrain" / name, 255 * number)
    asked = [{"image": name, "conversations": _talk(caption)} for name, caption in captions.items()]
    write_json(folder / "LLaVA-Pretrain/blip_laion_cc_sbu_558k.json", asked)
    return folder


def _talk(caption: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": caption}]


@pytest.fixture
def shrunk(data: Path, settings: dict[str, Any], tmp_path: Path) -> Any:
    """A shipped config for a tiny model, few steps and the tiny data."""

    def shrink(name: str, **stage: Any) -> dict[str, Any]:
        values = yaml.safe_load((CONFIGS / name).read_text())
        values["model"] = settings["model"]
        for entry in values["data"]:
            for option in ("root", "folder"):
                if option in entry["options"]:
                    entry["options"][option] = str(data / Path(entry["options"][option]).relative_to("data"))
        values["stages"][0].update({"batch_size": 1, "accumulate": 1, "warmup": 2} | stage)
        values["stages"][0].setdefault("criterion", {})["num_points"] = 64
        quick = {"workers": 0, "device": "cpu", "log_every": 4, "precision": "no"}
        return values | quick | {"output": str(tmp_path / Path(name).stem)}

    return shrink


def run(values: dict[str, Any], **changes: Any) -> TrainResult:
    return train(TrainConfig.from_dict(values), progress=False, **changes)


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in found if "loss" in line]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "model", device="cpu").model.state_dict()


def test_the_shipped_configs_are_the_published_model_and_settings() -> None:
    first, second = (TrainConfig.from_file(CONFIGS / f"psalm-stage{n}.yaml") for n in (1, 2))
    assert first.model.config == second.model.config == {}
    assert first.stages[0].micro_batches == (CONVERSATION,) and first.stages[0].train == ("projector",)
    stage = second.stages[0]
    assert stage.micro_batches == (Task.PANOPTIC, Task.REFERRING, Task.INTERACTIVE, CONVERSATION)
    assert (stage.lr, stage.warmup, stage.schedule, stage.weight_decay) == (6e-5, 0.03, "cosine", 0)
    assert stage.criterion == StageConfig("x", 1).criterion
    assert stage.batch_size * stage.per_step == 64 and stage.freeze == ("backbone",)
    assert second.model.projector == f"{first.output}/model"


def test_stage_1_teaches_the_projector_to_speak_to_a_language_model(shrunk: Any, tmp_path: Path) -> None:
    together = shrunk("psalm-stage1.yaml", steps=60, lr=5e-3, train=["language_model", "projector"])
    taught = weights(run(together | {"output": str(tmp_path / "taught")}).folder)
    language = {name: value for name, value in taught.items() if name.startswith("language_model.")}
    save_file(language, tmp_path / "language.safetensors")

    values = shrunk("psalm-stage1.yaml", steps=48, lr=1e-2)
    values["model"] = values["model"] | {"weights": [str(tmp_path / "language.safetensors")]}
    begun = run(values | {"output": str(tmp_path / "begun")}, stop_after=1).folder
    folder = run(values).folder
    losses = [line["conversation/words"] for line in lines(folder)]
    assert losses[-1] < losses[0] / 2
    old, new = torch.load(begun / "state.pt", weights_only=True)["model"], weights(folder)
    changed = {name.split(".")[0] for name in new if not torch.equal(old[name], new[name])}
    assert changed == {"projector"}
    assert list((folder / "tensorboard").glob("events*"))


def test_stage_2_teaches_all_but_the_backbone_one_task_a_step(shrunk: Any, monkeypatch: Any) -> None:
    seen: list[list[str]] = []
    step = StageLoop.step

    def watched(self: StageLoop, number: int, batches: Any) -> bool:
        seen.append([str(getattr(batch.task, "value", batch.task)) for batch in batches])
        return step(self, number, batches)

    monkeypatch.setattr(StageLoop, "step", watched)
    values = shrunk("psalm-stage2.yaml", steps=80, lr=2e-3) | {"log_every": 16, "tensorboard": False}
    folder = run(values).folder
    assert seen[:5] == [["panoptic"], ["referring"], ["interactive"], ["conversation"], ["panoptic"]]
    losses = [line["loss"] for line in lines(folder)]
    assert losses[-1] < losses[0] / 2
    old = torch.load(run(values | {"output": values["output"] + "-0"}, stop_after=1).folder / "state.pt")["model"]
    changed = {name.split(".")[0] for name, value in weights(folder).items() if not torch.equal(old[name], value)}
    assert "backbone" not in changed
    assert {"language_model", "projector", "mask_generator", "query_projector", "region_projector"} <= changed


def test_with_stage_1_or_without(shrunk: Any) -> None:
    first = run(shrunk("psalm-stage1.yaml", steps=2)).folder
    taught = weights(first)["projector.linear.weight"]
    for projector, same in ((str(first / "model"), True), (None, False)):
        values = shrunk("psalm-stage2.yaml", steps=1, lr=0.0)
        values["model"] = values["model"] | {"projector": projector}
        made = weights(run(values | {"output": f"{values['output']}-{same}"}).folder)
        assert torch.equal(made["projector.linear.weight"], taught) is same


def test_a_single_task_or_all_together(shrunk: Any) -> None:
    values = shrunk("psalm-stage2.yaml", steps=4)
    alone = values | {"output": values["output"] + "-alone"}
    alone["stages"] = [values["stages"][0] | {"tasks": {"referring": 1}, "conversations": 0}]
    tasks = [
        {name.split("/")[0] for line in lines(run(each).folder) for name in line if "/" in name}
        for each in (values, alone)
    ]
    assert tasks == [{"panoptic", "referring", "interactive", "conversation"}, {"referring"}]


def test_what_the_model_says_is_learnt_and_what_it_hears_is_not(data: Path, tokenizer: Any, settings: Any) -> None:
    from psalm.config import PSALMConfig

    collator = TalkCollator(tokenizer, PSALMConfig.from_dict(settings["model"]["config"]))
    ids, labels = collator.text(Conversations(data / "llava").conversation(0))
    assert ids.count(IMAGE) == 1 and len(ids) == len(labels)
    said = [label for label in labels if label != IGNORE]
    first, second = (tokenizer.encode(f" {text} <|endoftext|>") for text in ("A cat.", "On the left."))
    assert said == first + second
    assert all(label in (IGNORE, token) for token, label in zip(ids, labels, strict=True))


@pytest.mark.parametrize("extra", [{"checkpointing": False}, {"checkpointing": True, "lora": {"rank": 2}}])
def test_a_resumed_run_of_talk_and_tasks_equals_an_uninterrupted_one(shrunk: Any, extra: dict[str, Any]) -> None:
    values = shrunk("psalm-stage2.yaml", steps=5, **extra)
    whole = run(values)
    pieces = values | {"output": values["output"] + "-pieces"}
    for steps in (1, 3):
        assert not run(pieces, stop_after=steps).finished
    last = run(pieces)
    one, other = weights(whole.folder), weights(last.folder)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not any("lora" in name for name in one)


def test_accumulation_is_one_larger_batch_and_checkpointing_changes_nothing(shrunk: Any) -> None:
    def gradient(**stage: Any) -> list[float]:
        one = {"tasks": {}, "conversations": 1, "one_task": False, "steps": 2, "train": ["language_model"]} | stage
        values = shrunk("psalm-stage2.yaml", **one)
        return [line["gradient"] for line in lines(run(values | {"output": values["output"] + str(stage)}).folder)]

    plain = gradient(batch_size=2)
    assert gradient(batch_size=1, accumulate=2) == pytest.approx(plain, rel=1e-3)
    assert gradient(batch_size=2, checkpointing=False) == pytest.approx(plain, rel=1e-3)
