"""AdamW, its learning rate over a stage, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from psalm.training.config import StageConfig
from psalm.training.frozen import matches


def make_optimiser(model: nn.Module, stage: StageConfig) -> torch.optim.AdamW:
    """AdamW over what the stage trains; one group per learning rate and per weight decay."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            scale = next((value for pattern, value in stage.lr_scale.items() if matches(name, pattern)), 1.0)
            decay = stage.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scale, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": stage.lr * scale, "lr_scale": scale, "weight_decay": decay}
            for (scale, decay), parameters in groups.items()
        ],
        fused=True,  # one step for all parameters of a group, not ten for each
    )


def rate_at(stage: StageConfig, step: int) -> float:
    """Share of the peak learning rate at a step of the stage (0-based): linear warm-up, then the schedule."""
    warmup = stage.warmup * stage.steps if stage.warmup < 1 else stage.warmup
    if step < warmup:
        return (step + 1) / (math.floor(warmup) + 1)
    if stage.schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(stage.steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def set_rate(optimiser: torch.optim.Optimizer, stage: StageConfig, step: int) -> float:
    """Give every group its learning rate for this step; returns that of an unscaled group."""
    rate = stage.lr * rate_at(stage, step)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["lr_scale"]
    return rate


class WeightAverage:
    """Exponential running average of all parameters.

    Parameters
    ----------
    model : nn.Module
    decay : float
        Of the average per step; the first steps follow the weights more closely.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.steps = 0
        self.average = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after one step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        trained = {name: value for name, value in self.model.named_parameters() if value.requires_grad}
        get_ema_multi_avg_fn(decay)([self.average[name] for name in trained], list(trained.values()), None)

    @torch.no_grad()
    def keep(self) -> None:
        """Give the model the averaged weights for good; the average of what follows begins anew."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(self.average[name])
        self.begin_anew()

    @torch.no_grad()
    def begin_anew(self) -> None:
        """Average what follows, from the weights as they are."""
        self.steps = 0
        for name, parameter in self.model.named_parameters():
            self.average[name].copy_(parameter)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, object]:
        """What `load_state_dict` needs."""
        return {"steps": self.steps, "average": self.average}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved average."""
        self.steps = state["steps"]
        for name, value in state["average"].items():
            self.average[name].copy_(value)

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.model.named_parameters():
            kept = self.average[name].clone()
            self.average[name].copy_(parameter)
            parameter.copy_(kept)
