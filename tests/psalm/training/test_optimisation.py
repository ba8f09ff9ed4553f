"""Learning rate, groups and the running average."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from psalm.errors import ConfigError
from psalm.training.config import StageConfig
from psalm.training.frozen import train_only
from psalm.training.optimisation import WeightAverage, make_optimiser, rate_at, set_rate


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    stage = StageConfig("a", steps=100, warmup=0.1)
    rates = [rate_at(stage, step) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates.index(max(rates)) == 10 and max(rates) == 1
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] < 0.001
    assert rate_at(StageConfig("a", steps=100, warmup=5, schedule="constant"), 99) == 1


def test_groups_have_their_own_rate_and_no_decay_for_vectors() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    stage = StageConfig("a", steps=10, lr=1.0, warmup=0, weight_decay=0.1, lr_scale={"0": 0.5})
    optimiser = make_optimiser(model, stage)
    set_rate(optimiser, stage, 0)
    found = {(group["lr"], group["weight_decay"]): len(group["params"]) for group in optimiser.param_groups}
    assert found == {(0.5, 0.1): 1, (0.5, 0.0): 1, (1.0, 0.1): 1, (1.0, 0.0): 1}


def test_the_average_follows_and_swaps() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, decay=0.5)
    nn.init.ones_(model.weight)
    for _ in range(5):
        average.update()
    assert 0.99 < average.average["weight"].item() < 1
    with torch.no_grad():
        model.weight.fill_(7)
    with average.applied():
        assert model.weight.item() < 1
    assert model.weight.item() == 7
    average.keep()
    assert model.weight.item() < 1
    # What follows does not drag along what was before.
    with torch.no_grad():
        model.weight.fill_(9)
    average.update()
    assert 8 * 9 / 11 < average.average["weight"].item() < 9


def test_the_average_of_what_is_frozen_stands_still() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    average = WeightAverage(model, decay=0.5)
    before = {name: value.clone() for name, value in average.average.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    average.update()
    share = 1 - 2 / 11  # the first steps follow the weights more closely
    for name, value in average.average.items():
        torch.testing.assert_close(value, before[name] + (0 if name.startswith("0") else share))


def test_only_named_parts_train_and_frozen_statistics_stand_still() -> None:
    model = nn.ModuleDict({"body": nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)), "head": nn.Linear(1, 1)})
    assert train_only(model, ["head", "body.0"]) == ["body.0.weight", "body.0.bias", "head.weight", "head.bias"]
    assert model["head"].training and model["body"][0].training and not model["body"][1].training
    with pytest.raises(ConfigError, match=r"'tail'.*body, head"):
        train_only(model, ["tail"])
