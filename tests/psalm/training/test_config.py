"""A training config is read strictly, and says where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from psalm.conditions import Task
from psalm.errors import ConfigError
from psalm.training.config import TrainConfig

TEXT = """
output: runs/x
data:
  - {kind: scenes, weight: 2, tasks: [instance], options: {count: 3}}
stages:
  - name: first
    steps: 10
    tasks: {instance: 2, interactive: 1}
    lr: 6e-5
    criterion: {match_on: iou, mask_loss: false}
precision: no
"""


def test_yaml_becomes_typed_fields(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(TEXT)
    config = TrainConfig.from_file(path)
    stage = config.stages[0]
    assert stage.lr == 6e-5
    assert stage.micro_batches == (Task.INSTANCE, Task.INSTANCE, Task.INTERACTIVE)
    assert stage.criterion.match_on == "iou" and not stage.criterion.mask_loss
    assert config.precision == "no"
    assert config.data[0].tasks == (Task.INSTANCE,)
    assert TrainConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "config has unknown fields sead"),
        ({"stages": [{"name": "a", "steps": 1, "criterion": {"points": 3}}]}, r"stages\[0\].criterion .* points"),
        ({"stages": [{"steps": 1}]}, "lacks name"),
        ({"stages": []}, "one in stages"),
        ({"stages": [{"name": "a", "steps": "many"}]}, "steps must be int"),
        ({"stages": [{"name": "a", "steps": 1, "lr": "fast"}]}, "lr must be a number"),
        ({"stages": [{"name": "a", "steps": 1, "tasks": {"dancing": 1}}]}, "dancing"),
        ({"stages": [{"name": "a", "steps": 1, "tasks": {"instance": 0}}]}, "at least one task"),
        ({"stages": [{"name": "a", "steps": 1, "cache": True}]}, "variants"),
        ({"stages": [{"name": "a", "steps": 1, "first_variant": 1}]}, "first_variant is 1"),
        ({"stages": [{"name": "a", "steps": 1, "look_alone": 1.0}]}, "look_alone is 1"),
        ({"data": [{"kind": "pictures"}]}, "choose one of coco, scenes"),
        ({"stages": [{"name": "a", "steps": 1, "judged_by": ["semantic"]}]}, "judged by semantic"),
        ({"stages": [{"name": "a", "steps": 1, "learnt_share": 0}]}, "learnt_share is 0"),
        ({"stages": [{"name": "a", "steps": 1, "learnt_share": 0.5, "lora": {}}]}, "neither patience nor lora"),
        ({"ema": 1.0}, "ema"),
        ({"data": [{"kind": "scenes", "share": 0}]}, "share is 0"),
        ({"model": "psalm-tiny"}, "must be a mapping"),
    ],
)
def test_a_wrong_config_says_where(change: dict[str, Any], message: str) -> None:
    values = {"output": "x", "data": [{"kind": "scenes"}], "stages": [{"name": "a", "steps": 1}]}
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_dict(values | change)


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("output: [")
    with pytest.raises(ConfigError, match="cannot be read"):
        TrainConfig.from_file(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        TrainConfig.from_file(tmp_path / "missing.yaml")


def test_a_shortened_run_is_the_same_in_little() -> None:
    values = {
        "output": "runs/x",
        "data": [{"kind": "scenes", "share": 0.5}, {"kind": "coco"}],
        "stages": [{"name": "a", "steps": 600, "warmup": 50}, {"name": "b", "steps": 3, "warmup": 0.2}],
    }
    whole = TrainConfig.from_dict(values)
    little = whole.shortened(0.1)
    assert little.output == "runs/x-share-0.1"
    assert [entry.share for entry in little.data] == [0.05, 0.1]
    assert [(stage.steps, stage.warmup) for stage in little.stages] == [(60, 5), (1, 0.2)]
    assert whole.shortened(1).stages == whole.stages
    with pytest.raises(ConfigError, match="share"):
        whole.shortened(3)


def test_the_recipe_in_the_repository_can_be_read() -> None:
    for path in sorted((Path(__file__).parents[3] / "configs").glob("psalm*.yaml")):
        assert TrainConfig.from_file(path).stages
