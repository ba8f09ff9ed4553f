"""A model divided among processes: PyTorch's FSDP, set up by accelerate's own config file.

Every process then holds a part of each weight, of its gradient and of the optimiser's state, and gets the rest of a
module when it is computed. All processes must compute the same modules in the same order, so each step has one task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from psalm.errors import ConfigError
from psalm.modeling.psalm import PSALM
from psalm.training.config import TrainConfig

T = TypeVar("T")
_PREFIX = "model."


class Whole(nn.Module):
    """A model in one call: whatever is computed with it inside `forward` finds its weights there.

    Parameters
    ----------
    model : PSALM
    """

    def __init__(self, model: PSALM) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[PSALM], T]) -> T:
        """What `work` makes of the model."""
        return work(self.model)


def is_divided(accelerator: Accelerator) -> bool:
    """Whether each process holds a part of the model."""
    return accelerator.distributed_type is DistributedType.FSDP


def check_dividing(accelerator: Accelerator, config: TrainConfig) -> None:
    """Refuse what does not go with a divided model.

    Raises
    ------
    ConfigError
        When the launch or the config has it.
    """
    if accelerator.distributed_type is DistributedType.DEEPSPEED:
        raise ConfigError("psalm divides a model by FSDP: take accelerate's FSDP instead of DeepSpeed.")
    if not is_divided(accelerator):
        return
    if not accelerator.is_fsdp2:
        raise ConfigError("psalm needs the second version of FSDP: set fsdp_version to 2 in accelerate's config.")
    if config.ema:
        raise ConfigError("An average of the weights (ema) and FSDP do not go together: leave one of them out.")
    for stage in config.stages:
        if stage.cache or stage.described:
            raise ConfigError(f"Stage {stage.name!r}: cache and described need the whole model; train without FSDP.")
        if stage.learnt_share < 1:
            raise ConfigError(f"Stage {stage.name!r}: learnt_share needs the whole model; train without FSDP.")
        if len(set(stage.micro_batches)) > 1 and not stage.one_task:
            raise ConfigError(f"Stage {stage.name!r}: with FSDP a step has one task for all processes; set one_task.")


def divide(accelerator: Accelerator, whole: Whole, optimiser: Optimizer) -> Whole:
    """Leave each process its part of the weights; the optimiser is about the parts from now on.

    Steps compute in the precision that they have without FSDP, so accelerate's own is put aside.

    Raises
    ------
    ConfigError
        When the backbone keeps tensors made from its weights, as TinyViT does.
    """
    if whole.model.config.backbone != "swin":
        raise ConfigError(f"A model with {whole.model.config.backbone} is small and cannot be divided: leave FSDP out.")
    accelerator.state.fsdp_plugin.mixed_precision_policy = None
    divided: Whole = accelerator.prepare(whole, optimiser)[0]
    return divided


def model_state(whole: Whole) -> dict[str, Tensor]:
    """All weights of a divided model, in every process; all processes must ask."""
    state: dict[str, Any] = get_model_state_dict(whole, options=StateDictOptions(full_state_dict=True))
    return {name.removeprefix(_PREFIX): value.cpu() for name, value in state.items()}


def optimiser_state(whole: Whole, optimiser: Optimizer) -> dict[str, Any]:
    """All of the optimiser's state in the first process, by the parameters' names; all processes must ask."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return get_optimizer_state_dict(whole, optimiser, options=options)


def load_optimiser(whole: Whole, optimiser: Optimizer, state: dict[str, Any]) -> None:
    """Give each process its part of a state that `optimiser_state` made.

    Raises
    ------
    ConfigError
        When a model that was not divided made it.
    """
    if not all(isinstance(name, str) for name in state["state"]):
        raise ConfigError("The run was begun without FSDP: go on without it, or start afresh with --fresh.")
    options = StateDictOptions(full_state_dict=True, strict=False)  # what had no gradient yet has no state
    set_optimizer_state_dict(whole, optimiser, state, options=options)


def plain(value: Tensor) -> Tensor:
    """A number that is the same in all processes, as an ordinary tensor."""
    return value.full_tensor() if isinstance(value, DTensor) else value
