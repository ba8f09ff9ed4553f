"""Collect what a leg needs in one small folder."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import yaml
from safetensors.torch import save_file
from torch import Tensor

from psalm.checkpoint import read_weights
from psalm.files import write_text
from psalm.training import TrainConfig
from psalm.training.config import ModelConfig
from psalm.training.records import to_plain
from psalm.training.sources import build_model
from psalm.training.state import RunState
from tools.leg.budget import check_budget, weigh
from tools.leg.shrink import Shrink, add_images, add_refs

CONFIG, DATA, TOKENIZER, WEIGHTS, WHEELS = (
    "config.yaml",
    "data.zip",
    "tokenizer.json",
    "weights.safetensors",
    "wheels",
)


def pack(config: Path, out: Path, how: Shrink, weights: Path | None, budget: float) -> dict[str, int]:
    """Write a leg's folder, whole or not at all; wheels that are there stay.

    Parameters
    ----------
    config : Path
        Of the training; what its paths name travels, and they are rewritten.
    out : Path
        The folder; an older leg in it is replaced.
    how : Shrink
        Size of the images.
    weights : Path, optional
        Weights to start from, over those of the config: a model folder, a safetensors file, or the ``state.pt`` of a
        run.
    budget : float
        In MiB, wheels included.

    Returns
    -------
    dict of str to int
        Bytes of each part.

    Raises
    ------
    OutputError
        When the leg is over its budget.
    ConfigError, CheckpointError, AnnotationError, ImageError
        When something that it needs is missing or does not fit.
    """
    settings = TrainConfig.from_file(config)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=out) as name:
        new = Path(name)
        values = settings.to_dict() | {"output": "run", "cache_dir": None}
        values["model"] = _write_start(settings.model, weights, new)
        with ZipFile(new / DATA, "w") as archive:
            data = _Data(archive, how)
            for entry in [*values["data"], *values["validation"]["data"]]:
                if entry["kind"] == "coco":
                    entry["options"] = data.moved(entry["options"])
        write_text(new / CONFIG, yaml.safe_dump(values, sort_keys=False))
        sizes = weigh(new) | {WHEELS: weigh(out).get(WHEELS, 0)}
        check_budget(sizes, budget)
        for part in (CONFIG, DATA, TOKENIZER, WEIGHTS):
            (out / part).unlink(missing_ok=True)
        for file in new.iterdir():
            shutil.move(file, out / file.name)
    return sizes


class _Data:
    """Labelled folders on their way into the archive, each once though several entries name it."""

    def __init__(self, archive: ZipFile, how: Shrink) -> None:
        self._archive, self._how = archive, how
        self._folders: dict[tuple[str, str], tuple[str, frozenset[int]]] = {}
        self._refs: dict[tuple[str, str], str] = {}

    def moved(self, options: dict[str, Any]) -> dict[str, Any]:
        """An entry's options with the paths that its files have in the archive."""
        source = options["annotations"], options["images"]
        if source not in self._folders:
            name = f"data{len(self._folders)}"
            self._folders[source] = name, add_images(self._archive, name, *map(Path, source), self._how)
        folder, kept = self._folders[source]
        paths = {"annotations": f"{folder}/annotations.json", "images": f"{folder}/images"}
        if options.get("refs"):
            key = folder, options["refs"]
            if key not in self._refs:
                self._refs[key] = f"{folder}/refs{len(self._refs)}.json"
                add_refs(self._archive, self._refs[key], Path(options["refs"]), kept)
            paths["refs"] = self._refs[key]
        return options | paths


def _write_start(settings: ModelConfig, weights: Path | None, folder: Path) -> dict[str, Any]:
    """Write tokenizer and starting weights; returns the ``model`` section that starts from them."""
    if weights and weights.suffix == ".pt":
        state = folder / ".state.safetensors"
        save_file(RunState.load(weights).model, state)
        weights = state
    if weights:
        settings = dataclasses.replace(settings, weights=(*settings.weights, str(weights)))
    # Building the model here shows what does not fit before the leg has travelled.
    model, tokenizer = build_model(settings)
    known = set(model.state_dict()) if settings.init else {n for path in settings.weights for n in read_weights(path)}
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    if known:
        kept = {name: _half(name, value) for name, value in model.state_dict().items() if name in known}
        save_file(kept, folder / WEIGHTS)
    (folder / ".state.safetensors").unlink(missing_ok=True)
    paths = {"init": None, "tokenizer": TOKENIZER, "weights": [WEIGHTS] if known else []}
    return paths | {"config": to_plain(model.config.to_dict())}


def _half(name: str, value: Tensor) -> Tensor:
    """In half precision, but for running statistics, which may exceed its range."""
    return value.half().contiguous() if value.is_floating_point() and ".running_" not in name else value.contiguous()


__all__ = ["CONFIG", "DATA", "TOKENIZER", "WEIGHTS", "WHEELS", "pack"]
