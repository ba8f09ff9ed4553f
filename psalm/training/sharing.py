"""What several processes that train one model tell each other; alone, all of it does nothing.

Every process takes its share of a step's micro batches, and gradients are added up over all. The gradients are then
those of one process that took all micro batches itself. `accelerate launch` starts the processes.
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn

from psalm.errors import ConfigError
from psalm.training.config import StageConfig, TrainConfig


def make_accelerator(config: TrainConfig) -> Accelerator:
    """Device, precision and processes of a run, as the config and `accelerate launch` have them.

    accelerate keeps the precision of a process's first run; an earlier one in another precision is forgotten.
    """
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if computes_in_bf16(config.device) else "no"
    if AcceleratorState._shared_state.get("_mixed_precision", precision) != precision:
        AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=config.device == "cpu", mixed_precision=precision)


def computes_in_bf16(device: str | None) -> bool:
    """Whether a device has instructions for bf16; where it has none, autocast is slower than single precision."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def check_shares(accelerator: Accelerator, stage: StageConfig) -> None:
    """Make sure that every process gets as many micro batches as the others.

    Raises
    ------
    ConfigError
        When it does not.
    """
    if stage.per_step % accelerator.num_processes:
        raise ConfigError(
            f"Stage {stage.name!r} has {stage.per_step} micro batches per step for {accelerator.num_processes} "
            "processes: set accumulate so that each gets the same number."
        )


def add_gradients(accelerator: Accelerator, model: nn.Module) -> None:
    """Sum the gradients of all processes; a parameter that no process used keeps none."""
    if accelerator.num_processes == 1:
        return
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    used = torch.tensor([parameter.grad is not None for parameter in trained], device=accelerator.device).float()
    for parameter, times in zip(trained, accelerator.reduce(used, "sum").tolist(), strict=True):
        if times:
            own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = accelerator.reduce(own, "sum")


@torch.no_grad()
def average_statistics(accelerator: Accelerator, model: nn.Module) -> None:
    """Give all processes the mean of the running statistics that each took of its own micro batches."""
    if accelerator.num_processes == 1:
        return
    for module in model.modules():
        if module.training and isinstance(module, nn.modules.batchnorm._BatchNorm):
            for value in (module.running_mean, module.running_var):
                if value is not None:
                    value.copy_(accelerator.reduce(value, "mean"))


def any_process(accelerator: Accelerator, flag: bool) -> bool:
    """Whether the flag is set in one of the processes."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device), "sum") > 0)


def mean_figures(accelerator: Accelerator, figures: dict[str, float]) -> dict[str, float]:
    """The mean of each figure over the processes that have it."""
    if accelerator.num_processes == 1:
        return figures
    every: list[dict[str, float]] = gather_object([figures])
    names = list(dict.fromkeys(name for own in every for name in own))
    values = {name: [own[name] for own in every if name in own] for name in names}
    return {name: sum(found) / len(found) for name, found in values.items()}


def from_first(accelerator: Accelerator, value: Any) -> Any:
    """What the first process has."""
    if accelerator.num_processes == 1:
        return value
    return broadcast_object_list([value])[0]
