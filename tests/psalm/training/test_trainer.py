"""A run learns, stops, goes on exactly, and leaves alone what it shall not train."""

from __future__ import annotations

import copy
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.utils import set_seed
from safetensors.torch import save_file

from psalm.checkpoint import load_model
from psalm.conditions import CategoryCondition, Task
from psalm.data.mixture import Mixture
from psalm.data.sample import Sample
from psalm.errors import ConfigError
from psalm.training import TrainConfig, train
from psalm.training.config import ModelConfig
from psalm.training.sources import build_model
from psalm.training.stage_loop import StageLoop
from tests.psalm.modeling.builders import two_way_config

Settings = dict[str, Any]


def run(settings: Settings, **changes: Any) -> Any:
    return train(TrainConfig.from_dict(copy.deepcopy(settings)), progress=False, **changes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "model", device="cpu").model.state_dict()


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def two_squares(flip: bool) -> Sample:
    """A red square beside a green one."""
    masks = np.zeros((2, 96, 96), dtype=bool)
    masks[0, 10:40, 10:40] = masks[1, 50:90, 45:85] = True
    image = np.zeros((96, 96, 3), dtype=np.uint8)
    image[masks[0]], image[masks[1]] = (255, 0, 0), (0, 255, 0)
    condition = CategoryCondition(("red square", "green square"))
    if flip:
        image, masks = image[:, ::-1].copy(), masks[:, :, ::-1]
    return Sample(image, Task.INSTANCE, condition, masks, np.array([0, 1]))


def test_the_loss_falls_by_half_on_two_samples(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mixture, "sample", lambda self, step, *rest: two_squares(flip=step % 2 == 1))
    settings["stages"][0].update(steps=60, warmup=5, lr=2e-3, tasks={"instance": 1}, batch_size=2)
    settings["log_every"] = 5
    run(settings)
    curve = losses(Path(settings["output"]))
    assert curve[-1] < curve[0] / 2


def test_half_precision_learns_as_full_precision_does(settings: Settings, tmp_path: Path) -> None:
    settings["stages"][0]["steps"] = 6
    full = run(settings)
    half = settings | {"precision": "bf16", "output": str(tmp_path / "half")}
    assert not run(half, stop_after=2).finished
    folder = run(half).folder
    one, other = losses(full.folder), losses(folder)
    assert one != other and other == pytest.approx(one, rel=0.1)
    assert {value.dtype for value in weights(folder).values() if value.is_floating_point()} == {torch.float32}
    state = torch.load(folder / "state.pt", weights_only=True)["model"]
    assert all(value.dtype == torch.float32 for value in state.values() if value.is_floating_point())


def test_a_resumed_run_equals_an_uninterrupted_one(settings: Settings, tmp_path: Path) -> None:
    settings["ema"] = 0.9
    settings["stages"] = [
        {**settings["stages"][0], "name": "first", "steps": 2},
        {**settings["stages"][0], "name": "second", "steps": 3, "train": ["language_model", "*_projector"]},
    ]
    whole = run(settings)
    pieces = settings | {"output": str(tmp_path / "pieces")}
    for steps in (1, 2, 1):
        assert not run(pieces, stop_after=steps).finished
    last = run(pieces)
    assert whole.finished and last.finished
    assert losses(whole.folder) == losses(last.folder)
    one, other = weights(whole.folder), weights(last.folder)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_stage_that_looks_back_goes_on_exactly(settings: Settings, tmp_path: Path, share: float) -> None:
    """What its loss compares with, and what its end goes back to, is what it began with, not what it went on with."""
    settings["model"]["config"] = two_way_config().to_dict()
    settings["ema"] = 0.5
    drafts = {"tasks": {"interactive": 1}, "train": ["mask_generator.decoder"], "draft_weight": 1}
    plain = {"steps": 5, "criterion": {"mask_loss": False, "condition_weight": 0}}
    settings["stages"][0] |= drafts | plain | {"learnt_share": share}
    whole = run(settings)
    pieces = settings | {"output": str(tmp_path / "pieces")}
    assert not run(pieces, stop_after=3).finished
    last = run(pieces)
    assert losses(whole.folder) == losses(last.folder)
    one, other = weights(whole.folder), weights(last.folder)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_stage_may_take_a_part_of_what_it_learnt(settings: Settings, tmp_path: Path) -> None:
    settings["ema"] = 0.5
    settings["stages"][0]["tasks"] = {"instance": 1}
    set_seed(0)
    before = build_model(TrainConfig.from_dict(copy.deepcopy(settings)).model)[0].state_dict()
    learnt = weights(run(settings).folder)
    settings["output"] = str(tmp_path / "part")
    settings["stages"][0]["learnt_share"] = 0.25
    after = weights(run(settings).folder)
    floats = [name for name, value in before.items() if value.is_floating_point()]
    assert sum(not torch.equal(before[name], learnt[name]) for name in floats) > len(floats) / 2
    for name in floats:
        torch.testing.assert_close(after[name], before[name] + 0.25 * (learnt[name] - before[name]))


def test_frozen_modules_do_not_change(settings: Settings) -> None:
    stage = settings["stages"][0]
    stage.update(train=["language_model", "category_projector"], tasks={"instance": 1}, weight_decay=0.1)
    set_seed(0)
    before = build_model(TrainConfig.from_dict(copy.deepcopy(settings)).model)[0].state_dict()
    after = weights(run(settings).folder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert {name.split(".")[0] for name in changed} == {"language_model", "category_projector"}


def test_a_pattern_that_names_nothing_is_refused(settings: Settings) -> None:
    settings["stages"][0]["train"] = ["langage_model"]
    with pytest.raises(ConfigError, match="langage_model"):
        run(settings)


def test_another_config_in_the_same_folder_is_refused(settings: Settings) -> None:
    run(settings, stop_after=1)
    settings["stages"][0]["lr"] = 1e-2
    with pytest.raises(ConfigError, match="stages"):
        run(settings)
    assert run(settings, resume=False).finished


@pytest.mark.parametrize("workers", [0, 1])
def test_cached_features_give_the_same_loss(settings: Settings, tmp_path: Path, workers: int) -> None:
    stage = settings["stages"][0]
    stage.update(train=["language_model", "projector", "*_projector"], variants=2)
    settings["workers"] = workers
    plain = losses(run(settings).folder)
    cached = settings | {"output": str(tmp_path / "cached"), "stages": [stage | {"cache": True}]}
    first = losses(run(cached).folder)
    again = losses(run(cached | {"cache_dir": str(tmp_path / "cached/features"), "output": str(tmp_path / "b")}).folder)
    assert list((tmp_path / "cached/features").rglob("*.safetensors"))
    assert first == again
    assert first == pytest.approx(plain, rel=2e-2)


def test_a_cache_of_trained_features_is_refused(settings: Settings) -> None:
    settings["stages"][0].update(cache=True)
    with pytest.raises(ConfigError, match="cache"):
        run(settings)


def test_validation_figures_are_logged(settings: Settings) -> None:
    settings["validation"] = {"data": settings["data"], "samples": 2, "every": 2}
    result = run(settings)
    assert {"instance/recall", "referring/found", "interactive/iou"} <= set(result.figures)
    assert all(0 <= value <= 1 for value in result.figures.values())
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary["figures"] == result.figures


def test_an_interrupt_saves_and_the_run_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    step = StageLoop.step

    def interrupted(self: StageLoop, number: int, batches: Any) -> bool:
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number, batches)

    monkeypatch.setattr(StageLoop, "step", interrupted)
    result = run(settings)
    assert (result.finished, result.stage, result.step) == (False, 0, 2)
    monkeypatch.undo()
    assert run(settings).finished
    assert len(losses(result.folder)) == 4


def test_a_run_ends_in_time_and_goes_on(settings: Settings) -> None:
    settings["stages"][0]["steps"] = 5000
    first = run(settings, max_seconds=0)
    assert (first.finished, first.stage) == (False, 0)
    assert 1 <= first.step < 50
    assert run(settings, stop_after=1).step == first.step + 1


def test_weights_that_do_not_fit_are_refused(settings: Settings, tmp_path: Path) -> None:
    save_file({"backbone.nothing": torch.zeros(1)}, tmp_path / "w.safetensors")
    settings["model"]["weights"] = [str(tmp_path / "w.safetensors")]
    with pytest.raises(ConfigError, match=r"backbone\.nothing"):
        run(settings)


def test_a_finished_model_starts_the_next_run(settings: Settings, tmp_path: Path) -> None:
    first = run(settings | {"save_half": True}).folder / "model"
    model, _ = build_model(ModelConfig(init=str(first), config={"score_threshold": 0.3}))
    assert model.config.score_threshold == 0.3
    saved = weights(first.parent)
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
