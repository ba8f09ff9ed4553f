"""As many steps as the time allows, by what a run in little takes."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psalm.errors import ConfigError

if TYPE_CHECKING:
    from psalm.training import TrainConfig

logger = logging.getLogger(__name__)

_STEPS, _SETTLED = 16, 8  # steps of each stage, and those after which its pace is that of the long run
_SHARE = 0.03  # of the images


def probe(config: TrainConfig) -> list[float]:
    """Train every stage for some steps on a few images, which also shows that all of it works here.

    Returns
    -------
    list of float
        Seconds per step of each stage.
    """
    from psalm.training import train

    little = config.shortened(_SHARE)
    stages = tuple(dataclasses.replace(stage, steps=_STEPS) for stage in little.stages)
    others: dict[str, Any] = {"output": f"{config.output}-probe", "stages": stages, "log_every": _SETTLED}
    result = train(dataclasses.replace(little, **others))
    lines = [json.loads(line) for line in Path(result.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    took: dict[int, list[float]] = {}
    for line in lines:
        if "seconds" in line:
            took.setdefault(line["stage"], []).append(line["seconds"])
    return [(times[-1] - times[0]) / (_STEPS - _SETTLED) for _, times in sorted(took.items())]


def paced(config: TrainConfig, shares: Sequence[float], seconds: float) -> TrainConfig:
    """The config with as many steps in each stage as take its share of the time.

    Parameters
    ----------
    config : TrainConfig
    shares : sequence of float
        Of the time, one per stage; what they leave is for what happens between the steps.
    seconds : float
        Until the run shall end, the probe included.

    Raises
    ------
    ConfigError
        When there is not one share per stage, or they are not above 0 or add up to more than 1.
    """
    if len(shares) != len(config.stages) or min(shares) <= 0 or sum(shares) > 1:
        raise ConfigError(f"--pace needs {len(config.stages)} shares of the time, above 0 and at most 1 in sum.")
    begun = time.monotonic()
    paces = probe(config)
    left = seconds - (time.monotonic() - begun)
    logger.info("Seconds per step: %s; %.0f s are left.", ", ".join(f"{pace:.3f}" for pace in paces), left)
    steps = [max(int(share * left / max(pace, 1e-3)), 1) for share, pace in zip(shares, paces, strict=True)]
    stages = (dataclasses.replace(stage, steps=n) for stage, n in zip(config.stages, steps, strict=True))
    return dataclasses.replace(config, stages=tuple(stages))
