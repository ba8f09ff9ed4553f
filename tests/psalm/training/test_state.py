"""A run's state goes on where it stopped, also after the model has got a further part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from psalm.errors import ConfigError
from psalm.modeling.psalm import PSALM
from psalm.training.config import TrainConfig
from psalm.training.state import RunState
from tests.psalm.modeling.builders import two_way_config


def test_a_run_from_before_following_was_learnt_goes_on(tmp_path: Path) -> None:
    model = PSALM(two_way_config())
    older = {name: value for name, value in model.state_dict().items() if "sameness" not in name}
    assert len(older) == len(model.state_dict()) - 2
    RunState({}, 0, 3, older, best={"model": dict(older)}).save(tmp_path / "state.pt")
    state = RunState.load(tmp_path / "state.pt")
    state.complete(model)
    assert state.step == 3 and state.best is not None
    torch.nn.init.zeros_(model.mask_generator.sameness.weight)  # type: ignore[union-attr]
    for weights in (state.model, state.best["model"]):
        model.load_state_dict(weights)
        assert float(model.state_dict()["mask_generator.sameness.weight"][2]) == pytest.approx(107.6)


def test_a_state_at_the_start_of_a_stage_has_no_best_weights(tmp_path: Path) -> None:
    RunState({}, 1, 0, {"mask_generator.seg_query": torch.zeros(1)}).save(tmp_path / "state.pt")
    state = RunState.load(tmp_path / "state.pt")
    assert state.best is None and list(state.model) == ["mask_generator.seg_query"]


def test_the_data_of_later_stages_may_be_edited_and_that_of_begun_ones_not(settings: dict[str, Any]) -> None:
    settings["data"] = [
        {"kind": "scenes", "tasks": [task], "options": {"count": 2}} for task in ("panoptic", "instance")
    ]
    stage = settings["stages"][0]
    settings["stages"] = [stage | {"name": task, "tasks": {task: 1}} for task in ("panoptic", "instance")]
    state = RunState(TrainConfig.from_dict(settings).to_dict(), 0, 2, {})
    settings["data"][1]["options"]["count"] = 3
    state.check(TrainConfig.from_dict(settings))
    state.stage = 1
    with pytest.raises(ConfigError, match=r"other settings \(data\)"):
        state.check(TrainConfig.from_dict(settings))
