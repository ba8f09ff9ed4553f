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

    def check(self, config: TrainConfig) -> None:
        """Refuse to go on with settings that would have given another run so far.

        Raises
        ------
        ConfigError
            When the model, the data, the seed, or a stage that has begun differs. Later stages may be edited.
        """
        # Read anew, so that settings that did not exist yet have their defaults.
        old, new = TrainConfig.from_dict(self.config).to_dict(), config.to_dict()
        begun = self.stage + (self.step > 0)
        same = {
            **{name: old[name] == new[name] for name in ("model", "data", "seed", "precision", "ema", "temper")},
            "stages": old["stages"][:begun] == new["stages"][:begun],
        }
        changed = [name for name, equal in same.items() if not equal]
        if changed:
            raise ConfigError(
                f"The folder {config.output} holds a run with other settings ({', '.join(changed)}): "
                "choose another output, or start afresh with resume=False."
            )
