"""Train from a leg's folder, for so many minutes."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from psalm.errors import ConfigError
from tools.leg.pacing import paced
from tools.leg.parts import split_folder
from tools.leg.wheels import check_modules, install_missing

if TYPE_CHECKING:
    from psalm.training import TrainConfig, TrainResult

logger = logging.getLogger(__name__)

_NEVER = 10**9


@dataclass(frozen=True)
class Changes:
    """What a leg does otherwise than its config says; None leaves it.

    Parameters
    ----------
    stage : str, optional
        Train this stage alone.
    steps : int, optional
        Of every stage that is trained.
    seed : int, optional
        Another one lets the next leg of a stage see other samples.
    workers : int, optional
        Processes that prepare data.
    pace : tuple of float, optional
        Shares of the time, one per stage; each gets as many steps as that allows.
    """

    stage: str | None = None
    steps: int | None = None
    seed: int | None = None
    workers: int | None = None
    pace: tuple[float, ...] | None = None


def run(leg: Path, out: Path, minutes: float, changes: Changes) -> TrainResult:
    """Train and write the model in parts.

    Parameters
    ----------
    leg : Path
        What `pack` wrote.
    out : Path
        Gets ``manifest.json``, ``log.jsonl`` and the parts of the model.
    minutes : float
        From this call, wheels and data included, to the end of the last step; the model is written afterwards.
    changes : Changes

    Raises
    ------
    ConfigError
        When the leg is incomplete, a package is missing, or the stage is not one of the config.
    """
    end = time.monotonic() + 60 * minutes
    leg, out = leg.resolve(), out.resolve()
    if not (leg / "config.yaml").exists() or not (leg / "data.zip").exists():
        raise ConfigError(f"The folder {leg} holds no leg: make it with pack.")
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="leg-") as name:
        scratch = Path(name)
        installed = install_missing(leg / "wheels", scratch / "site")
        check_modules()
        if installed:
            logger.info("Installed %s.", ", ".join(installed))
        _unpack(leg, scratch)
        told: dict[str, Any] = {"finished": False}
        try:
            with contextlib.chdir(scratch):
                result = _train(changes, end)
            told = _told(result)
        finally:  # what was learnt comes back, even from a run that broke
            if (scratch / "run/state.pt").exists():
                with contextlib.chdir(scratch):
                    _write_model(scratch / "run")
                split_folder(scratch / "run/model", out, told)
                for name in ("log.jsonl", "config.json"):
                    shutil.copyfile(scratch / "run" / name, out / name)
    return result


def _unpack(leg: Path, scratch: Path) -> None:
    with ZipFile(leg / "data.zip") as archive:
        archive.extractall(scratch)
    for file in leg.iterdir():
        if file.is_file() and file.suffix != ".zip":
            shutil.copyfile(file, scratch / file.name)


def _train(changes: Changes, end: float) -> TrainResult:
    from psalm.training import TrainConfig, train

    config = changed(TrainConfig.from_file("config.yaml"), changes)
    if changes.pace:
        config = paced(config, changes.pace, end - time.monotonic())
    logger.info("Training %s.", ", ".join(f"{stage.name} ({stage.steps} steps)" for stage in config.stages))
    return train(config, max_seconds=max(end - time.monotonic(), 0))


def changed(config: TrainConfig, changes: Changes) -> TrainConfig:
    """The config with the changes.

    Raises
    ------
    ConfigError
        When it has no such stage.
    """
    stages = only_stage(config, changes.stage).stages
    if changes.steps is not None:
        stages = tuple(dataclasses.replace(stage, steps=changes.steps) for stage in stages)
    # Nothing goes on with a leg, so its state is saved once, at the end.
    others: dict[str, Any] = {"stages": stages, "save_every": _NEVER}
    others |= {name: getattr(changes, name) for name in ("seed", "workers") if getattr(changes, name) is not None}
    return dataclasses.replace(config, **others)


def only_stage(config: TrainConfig, name: str | None) -> TrainConfig:
    """The config with the named stage alone, or as it is where `name` is None.

    Raises
    ------
    ConfigError
        When it has no such stage.
    """
    stages = tuple(stage for stage in config.stages if name in (None, stage.name))
    if not stages:
        names = ", ".join(stage.name for stage in config.stages)
        raise ConfigError(f"The config has no stage {name!r}: choose among {names}.")
    return dataclasses.replace(config, stages=stages)


def _write_model(run_folder: Path) -> None:
    """Write the run's model folder in half precision from its saved state, whether it is finished or not."""
    import torch

    from psalm.checkpoint import save_model
    from psalm.training import TrainConfig
    from psalm.training.sources import build_model
    from psalm.training.state import RunState

    state = RunState.load(run_folder / "state.pt")
    model, tokenizer = build_model(TrainConfig.from_dict(state.config).model)
    averaged: Any = state.average["average"] if state.average else {}
    model.load_state_dict(state.model | averaged)
    info = {"name": model.config.name, "trained_by": state.config, "figures": state.figures}
    save_model(run_folder / "model", model, tokenizer, info, torch.float16)


def _told(result: TrainResult) -> dict[str, Any]:
    told = {name: getattr(result, name) for name in ("finished", "stage", "step", "figures")}
    logger.info("Stopped before step %d of stage %d.", told["step"] + 1, told["stage"] + 1)
    return told
