"""A stage that no longer gains ends, and its best weights are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from psalm.checkpoint import load_model
from psalm.errors import ConfigError
from psalm.training import TrainConfig, train
from psalm.training.validation import Look, Validator


def run(settings: dict[str, Any], name: str, **changes: Any) -> Any:
    return train(TrainConfig.from_dict(settings | {"output": settings["output"] + name}), progress=False, **changes)


def look(*scores: float) -> Look:
    return Look({"iou": sum(scores) / len(scores)}, {str(image): score for image, score in enumerate(scores)})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "model", device="cpu").model.state_dict()


@pytest.mark.parametrize(
    ("scores", "best"), [([0.1, 0.5, 0.4, 0.3, 0.9], 1), ([0.6, 0.5, 0.4], 0), ([0.6, 0.6, 0.5, 0.5], 1)]
)
def test_the_best_weights_are_kept(settings: Any, monkeypatch: Any, scores: list[float], best: int) -> None:
    plain = {"steps": 6, "schedule": "constant", "warmup": 0, "tasks": {"instance": 1}}
    settings["stages"][0].update(plain)
    expected = run(settings, "-plain", stop_after=max(best, 1)).folder
    kept = torch.load(expected / "state.pt", weights_only=True)["model"]

    looks = iter(scores)
    monkeypatch.setattr(Validator, "__call__", lambda *_: look(next(looks)))
    settings["stages"][0]["patience"] = 2
    settings["validation"] = {"data": settings["data"], "every": 1, "samples": 1}
    assert not run(settings, "-patient", stop_after=1).finished  # the best so far outlives an interruption
    result = run(settings, "-patient")
    made = weights(result.folder)
    assert result.figures == {"iou": max(scores[:4])}
    trained = json.loads((result.folder / "summary.json").read_text())["last"]["step"]
    assert trained == best + 2
    assert all(torch.equal(made[name], kept[name]) for name in made) is (best > 0)


def test_chance_on_a_few_images_does_not_undo_what_was_learnt(settings: Any, monkeypatch: Any) -> None:
    begun_with, mixed, worse = look(0.9, 0.5, 0.7), look(0.5, 0.8, 0.7), look(0.6, 0.2, 0.4)
    assert not mixed.is_clearly_below(begun_with) and worse.is_clearly_below(begun_with)
    looks = iter([begun_with, worse, mixed, look(0.5, 0.7, 0.7), worse])
    monkeypatch.setattr(Validator, "__call__", lambda *_: next(looks))
    settings["stages"][0].update({"steps": 5, "tasks": {"instance": 1}, "patience": 2})
    settings["validation"] = {"data": settings["data"], "every": 1, "samples": 1}
    result = run(settings, "-noisy")
    assert result.figures == mixed.figures
    assert json.loads((result.folder / "summary.json").read_text())["last"]["step"] == 4


def test_a_stage_is_judged_by_its_own_tasks(settings: Any, monkeypatch: Any) -> None:
    """Only their questions are asked, and answered from the features that the stage keeps."""
    asked: list[str] = []
    answer = Validator._answer

    def remember(validator: Validator, model: Any, sample: Any, encode: Any) -> Any:
        asked.append(sample.task.value)
        return answer(validator, model, sample, encode)

    monkeypatch.setattr(Validator, "_answer", remember)
    monkeypatch.setattr("psalm.modeling.psalm.PSALM.encode_image", lambda *_: pytest.fail("encoded without the cache"))
    frozen = {"cache": True, "train": ["query_projector"], "steps": 1, "patience": 1}
    settings["stages"][0].update(frozen | {"judged_by": ["instance"]})
    settings["model"]["config"]["swin_drop_path"] = 0.0
    settings["validation"] = {"data": settings["data"], "samples": 2}
    figures = run(settings, "-judged").figures
    assert set(asked) == {"instance"} and len(asked) == 4  # before the first step and after the last
    assert set(figures) == {"instance/recall", "instance/precision", "instance/ap50"}


def test_patience_needs_something_to_judge_by(settings: Any) -> None:
    settings["stages"][0]["patience"] = 2
    with pytest.raises(ConfigError, match=r"validation\.data"):
        TrainConfig.from_dict(settings)
    settings["validation"] = {"data": settings["data"]}
    with pytest.raises(ConfigError, match="ema"):
        TrainConfig.from_dict(settings | {"ema": 0.9})
