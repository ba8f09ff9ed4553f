"""The state of a run on disk, so that it goes on exactly where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from psalm.errors import CheckpointError, ConfigError
from psalm.files import replacing
from psalm.modeling.older_weights import completed
from psalm.training.config import TrainConfig


@dataclass
class RunState:
    """Where a run is.

    Parameters
    ----------
    config : dict
        `TrainConfig.to_dict` of the run.
    stage, step : int
        The next step to take, both from 0.
    model : dict of tensors
    optimiser : dict, optional
        None at the start of a stage.
    average : dict, optional
        Of the running average of the weights.
    seconds : float
        Time spent so far.
    figures : dict
        Latest validation figures.
    best : dict, optional
        Of a stage with patience: ``score``, ``figures``, ``step``, ``looks`` since then, the weights ``model``, and by
        image the scores of what the stage began with, ``begun_with``.
    begun : dict of tensors, optional
        The weights that the stage began with, where it looks back at them.

    Random numbers need no state: they follow from the seed and the step.
    """

    config: dict[str, Any]
    stage: int
    step: int
    model: dict[str, Tensor]
    optimiser: dict[str, Any] | None = None
    average: dict[str, Any] | None = None
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] | None = None
    begun: dict[str, Tensor] | None = None

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        with replacing(path) as temporary:
            torch.save(vars(self), temporary)

    @classmethod
    def load(cls, path: Path) -> RunState:
        """Read a saved state onto the CPU.

        Raises
        ------
        CheckpointError
            When the file is damaged.
        """
        try:
            state = cls(**torch.load(path, map_location="cpu", weights_only=True))
        except (RuntimeError, OSError, EOFError, TypeError, UnpicklingError) as error:
            raise CheckpointError(
                f"The state of the run in {path} cannot be read ({error}): delete it to start the run again."
            ) from error
        return state

    def complete(self, model: nn.Module) -> None:
        """Add the parts of the model that did not exist yet when the run began."""
        self.model = completed(self.model, model)
        if self.best:
            self.best["model"] = completed(self.best["model"], model)
        if self.begun:
            self.begun = completed(self.begun, model)

    def check(self, config: TrainConfig) -> None:
        """Refuse to go on with settings that would have given another run so far.

        Raises
        ------
        ConfigError
            When the model, the seed, a stage that has begun, or the data that it learns from differs. Later stages may
            be edited, and the data of these alone.
        """
        # Read anew, so that settings that did not exist yet have their defaults.
        begun = self.stage + (self.step > 0)
        old, new = (_so_far(each, begun) for each in (TrainConfig.from_dict(self.config), config))
        changed = [name for name in old if old[name] != new[name]]
        if changed:
            raise ConfigError(
                f"The folder {config.output} holds a run with other settings ({', '.join(changed)}): "
                "choose another output, or start afresh with resume=False."
            )


def _so_far(config: TrainConfig, begun: int) -> dict[str, Any]:
    """What decides how a run is after its first `begun` stages."""
    settings, stages = config.to_dict(), config.stages[:begun]
    lessons = {lesson for stage in stages for lesson in stage.micro_batches}
    served = [any(entry.serves(lesson) for lesson in lessons) for entry in config.data]
    data = [entry for entry, serves in zip(settings["data"], served, strict=True) if serves]
    same = {name: settings[name] for name in ("model", "seed", "precision", "ema", "temper")}
    return same | {"data": data, "stages": settings["stages"][:begun]}
