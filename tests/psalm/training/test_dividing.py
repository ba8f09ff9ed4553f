"""A model that FSDP divides among two processes learns exactly what a whole one does."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.utils import DistributedType

from psalm.checkpoint import load_model
from psalm.errors import ConfigError
from psalm.training import TrainConfig, train
from psalm.training.dividing import check_dividing

ROOT = Path(__file__).parents[3]

# Trains as a user's command does. accelerate knows FSDP on accelerators alone; all that it does there runs here as well
# once it takes the processor for one.
SCRIPT = """
import json, sys
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor
from psalm.training import TrainConfig, train
from psalm.training.stage_loop import StageLoop

PartialState(cpu=True)
PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
step = StageLoop.step

def watched(self, number, batches):
    assert all(isinstance(parameter, DTensor) for parameter in self.model.parameters())
    return step(self, number, batches)

StageLoop.step = watched
config = TrainConfig.from_dict(json.load(open(sys.argv[1])))
train(config, progress=False, stop_after=3)
train(config, progress=False)
"""


def settings_of(settings: dict[str, Any], output: Path, **stage: Any) -> dict[str, Any]:
    first = settings["stages"][0] | {"steps": 2, "one_task": True, "accumulate": 2} | stage
    second = first | {"name": "language", "train": ["language_model", "*projector"]}
    return copy.deepcopy(settings) | {
        "output": str(output),
        "stages": [first, second | {"steps": 3, "checkpointing": True}],
        "validation": {"data": settings["data"], "samples": 1, "every": 0},
    }


def launch(config: dict[str, Any], folder: Path) -> None:
    script, file = folder / "script.py", folder / "config.json"
    script.write_text(SCRIPT)
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(ROOT / "configs/fsdp.yaml"),
         "--main_process_port", "0", str(script), str(file)],
        capture_output=True, text=True, timeout=900, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """What was learnt; running statistics are means of each process's own, so they differ a little."""
    return dict(load_model(folder / "model", device="cpu").model.named_parameters())


def test_a_divided_model_learns_what_a_whole_one_does(settings: dict[str, Any], tmp_path: Path) -> None:
    launch(settings_of(settings, tmp_path / "divided"), tmp_path)
    threads, settings = torch.get_num_threads(), settings | {"threads": 1}  # as in each process: sums in the same order
    whole = train(TrainConfig.from_dict(settings_of(settings, tmp_path / "whole")), progress=False)
    torch.set_num_threads(threads)
    one, other = lines(whole.folder), lines(tmp_path / "divided")
    assert [set(line) for line in one] == [set(line) for line in other]
    for name, close in (("loss", 2e-3), ("gradient", 1e-2)):
        mine, theirs = ([line[name] for line in found if name in line] for found in (one, other))
        assert len(mine) == 5 and theirs == pytest.approx(mine, rel=close)
    first, second = (weights(folder) for folder in (whole.folder, tmp_path / "divided"))
    # Where a gradient is all but zero, rounding decides its sign, and Adam's step is as long as any other.
    equal = torch.cat([torch.isclose(second[name], first[name], atol=2e-3, rtol=1e-2).flatten() for name in first])
    assert equal.float().mean() > 0.99


@pytest.mark.parametrize(
    ("change", "said"),
    [({"ema": 0.9}, "ema"), ({"stage": {"one_task": False}}, "one_task"), ({"stage": {"cache": True}}, "cache")],
)
def test_what_does_not_go_with_a_divided_model_is_refused(
    settings: dict[str, Any], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    stage = change.pop("stage", {})
    config = TrainConfig.from_dict(settings_of(settings, tmp_path, **stage) | change)
    launched: Any = SimpleNamespace(distributed_type=DistributedType.FSDP, is_fsdp2=True)
    with pytest.raises(ConfigError, match=said):
        check_dividing(launched, config)
    check_dividing(SimpleNamespace(distributed_type=DistributedType.MULTI_GPU), config)  # type: ignore[arg-type]


def test_deepspeed_is_refused_with_what_to_take_instead(settings: dict[str, Any]) -> None:
    launched: Any = SimpleNamespace(distributed_type=DistributedType.DEEPSPEED)
    with pytest.raises(ConfigError, match="FSDP"):
        check_dividing(launched, TrainConfig.from_dict(settings))
