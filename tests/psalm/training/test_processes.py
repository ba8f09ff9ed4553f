"""Two processes give the same gradients as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from psalm.errors import ConfigError
from psalm.training.config import StageConfig
from psalm.training.sharing import check_shares
from tests.psalm.modeling.builders import two_way_config

# Trains as a user's command does, and keeps the gradients of each step.
SCRIPT = """
import json, sys
import torch
from psalm.training import TrainConfig, train
from psalm.training.stage_loop import StageLoop

step, kept = StageLoop.step, []

def watched(self, number, batches):
    done = step(self, number, batches)
    kept.append({name: p.grad.clone() for name, p in self.model.named_parameters() if p.grad is not None})
    kept[-1] |= {name: value.clone() for name, value in self.model.named_buffers() if "running" in name}
    self.process = self.accelerator.process_index
    watched.process = self.process
    return done

StageLoop.step = watched
train(TrainConfig.from_dict(json.load(open(sys.argv[1]))), progress=False)
torch.save(kept[0], f"{sys.argv[2]}-{watched.process}.pt")
"""


# Trains as well, and keeps which images each process described.
DESCRIBING = """
import json, sys
import torch
from psalm.training import TrainConfig, train
from psalm.training.described import DescribedImage

save, described = DescribedImage.save, []

def saved(self, path):
    save(self, path)
    described.append(path.name)

DescribedImage.save = saved
train(TrainConfig.from_dict(json.load(open(sys.argv[1]))), progress=False)
torch.save(described, f"{sys.argv[2]}-{torch.distributed.get_rank()}.pt")
"""


def of_each_process(text: str, settings: dict[str, Any], folder: Path, processes: int) -> list[Any]:
    """What a script keeps in each of some processes that train with these settings."""
    script, config, out = folder / "script.py", folder / f"{processes}.json", folder / f"kept{processes}"
    script.write_text(text)
    config.write_text(json.dumps(settings | {"output": str(folder / f"run{processes}")}))
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run(
        [sys.executable, *launch, str(script), str(config), str(out)],
        capture_output=True, text=True, timeout=900, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(f"{out}-{number}.pt", weights_only=True) for number in range(processes)]


def test_two_processes_give_the_gradients_of_one(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["stages"][0].update(steps=2, accumulate=2, tasks={"instance": 1, "interactive": 1}, clip=0.0)
    (one,), (first, second) = (of_each_process(SCRIPT, settings, tmp_path, processes) for processes in (1, 2))
    assert set(one) == set(first) == set(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        if "running" not in name:
            torch.testing.assert_close(value, one[name], atol=1e-4, rtol=1e-3, msg=name)
    assert any(value.abs().max() > 1e-2 for name, value in one.items() if "running" not in name)
    logged = [(tmp_path / f"run{processes}/log.jsonl").read_text().splitlines() for processes in (1, 2)]
    losses = [json.loads(each[0])["loss"] for each in logged]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_each_process_describes_its_share_of_the_images(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["model"]["config"] = two_way_config().to_dict()
    settings["data"][0]["options"]["count"] = 5
    stage = {"name": "names", "train": ["language_model"], "tasks": {"instance": 1}, "described": True, "cache": True}
    stage |= {"steps": 1, "accumulate": 2, "variants": 1, "criterion": {"mask_loss": False, "match_on": "iou"}}
    settings["stages"] = [stage]
    first, second = of_each_process(DESCRIBING, settings, tmp_path, 2)
    assert (len(first), len(second)) == (3, 2)
    assert len({*first, *second}) == 5


def test_micro_batches_that_cannot_be_shared_are_refused() -> None:
    class Three:
        num_processes = 3

    with pytest.raises(ConfigError, match="accumulate"):
        check_shares(Three(), StageConfig("x", 1, accumulate=4, one_task=True))  # type: ignore[arg-type]
