"""Collect what a leg needs in one small folder."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import yaml
from safetensors.torch import save_file
from torch import Tensor

from psalm.checkpoint import read_weights
from psalm.data.coco_samples import CocoSamples
from psalm.files import write_text
from psalm.training import TrainConfig
from psalm.training.config import DataConfig, ModelConfig
from psalm.training.records import to_plain
from psalm.training.sources import build_model, open_samples
from psalm.training.state import RunState
from tools.leg.budget import check_budget, weigh
from tools.leg.running import only_stage
from tools.leg.shrink import Shrink, add_images, add_refs

Source = tuple[str, str]
CONFIG, DATA, TOKENIZER = "config.yaml", "data.zip", "tokenizer.json"
WEIGHTS, WHEELS = "weights.safetensors", "wheels"


@dataclass(frozen=True)
class Choice:
    """What of a training travels; None leaves all.

    Parameters
    ----------
    stage : str, optional
        This stage alone, and the data that serve its tasks.
    per_source : int, optional
        At most so many images of each source, in each entry of the data.
    weights : Path, optional
        Weights to start from, over those of the config: a model folder, a safetensors file, or the ``state.pt`` of a
        run.
    init : str, optional
        Start from this model instead, which is there already, as one that ships with psalm is; its weights stay here.
    """

    stage: str | None = None
    per_source: int | None = None
    weights: Path | None = None
    init: str | None = None


def pack(config: Path, out: Path, choice: Choice, how: Shrink, budget: float) -> dict[str, int]:
    """Write a leg's folder, whole or not at all; wheels that are there stay.

    Parameters
    ----------
    config : Path
        Of the training; what its paths name travels, and they are rewritten.
    out : Path
        The folder; an older leg in it is replaced.
    choice : Choice
    how : Shrink
        Size of the images.
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
    settings = chosen(TrainConfig.from_file(config), choice)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=out) as name:
        new = Path(name)
        model = _write_start(settings.model, choice, new)
        with ZipFile(new / DATA, "w") as archive:
            settings = _write_data(settings, archive, how)
        values = settings.to_dict() | {"output": "run", "cache_dir": None, "model": model}
        write_text(new / CONFIG, yaml.safe_dump(values, sort_keys=False))
        sizes = weigh(new) | {WHEELS: weigh(out).get(WHEELS, 0)}
        check_budget(sizes, budget)
        for part in (CONFIG, DATA, TOKENIZER, WEIGHTS):
            (out / part).unlink(missing_ok=True)
        for file in new.iterdir():
            shutil.move(file, out / file.name)
    return sizes


def chosen(config: TrainConfig, choice: Choice) -> TrainConfig:
    """The part of a config that travels.

    Raises
    ------
    ConfigError
        When it has no such stage.
    """
    config = only_stage(config, choice.stage)
    tasks = {task for stage in config.stages for task in stage.micro_batches}
    data = (entry for entry in config.data if not entry.tasks or tasks & set(entry.tasks))
    return replace(config, data=tuple(_thinned(entry, choice.per_source) for entry in data))


def _thinned(entry: DataConfig, per_source: int | None) -> DataConfig:
    if per_source is None or entry.kind != "coco":
        return entry
    most = min(per_source, entry.options.get("per_source") or per_source)
    return replace(entry, options=entry.options | {"per_source": most})


def _write_data(config: TrainConfig, archive: ZipFile, how: Shrink) -> TrainConfig:
    """Put the images that the config draws into the archive, each once; returns the config with the paths there."""
    wanted: dict[Source, set[int]] = defaultdict(set)
    for entry in (*config.data, *config.validation.data):
        samples = open_samples(entry)
        if isinstance(samples, CocoSamples):
            wanted[_source(entry)].update(samples.image_ids)
    folders = {source: f"data{number}" for number, source in enumerate(wanted)}
    kept = {
        source: add_images(archive, folders[source], Path(source[0]), Path(source[1]), ids, how)
        for source, ids in wanted.items()
    }
    refs: dict[tuple[str, str], str] = {}

    def moved(entry: DataConfig) -> DataConfig:
        if entry.kind != "coco":
            return entry
        folder = folders[_source(entry)]
        paths = {"annotations": f"{folder}/annotations.json", "images": f"{folder}/images"}
        if entry.options.get("refs"):
            key = folder, entry.options["refs"]
            if key not in refs:
                refs[key] = f"{folder}/refs{len(refs)}.json"
                add_refs(archive, refs[key], Path(key[1]), kept[_source(entry)])
            paths["refs"] = refs[key]
        return replace(entry, options=entry.options | paths)

    validation = replace(config.validation, data=tuple(map(moved, config.validation.data)))
    return replace(config, data=tuple(map(moved, config.data)), validation=validation)


def _source(entry: DataConfig) -> Source:
    return entry.options["annotations"], entry.options["images"]


def _write_start(settings: ModelConfig, choice: Choice, folder: Path) -> dict[str, Any]:
    """Write tokenizer and starting weights; returns the ``model`` section that starts from them.

    The model is built here, so that what does not fit is found before the leg travels.
    """
    if choice.init:
        there = ModelConfig(init=choice.init, config=settings.config)
        build_model(there)
        return to_plain(asdict(there))
    with TemporaryDirectory() as name:
        if choice.weights:
            settings = replace(settings, weights=(*settings.weights, str(_readable(choice.weights, Path(name)))))
        model, tokenizer = build_model(settings)
        known = {name for path in settings.weights for name in read_weights(path)}
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    state = model.state_dict()
    # Only parameters: running statistics may exceed the range of half precision.
    state |= {name: parameter.detach().half() for name, parameter in model.named_parameters()}
    travelling = state if settings.init else {name: state[name] for name in known}
    if travelling:
        save_file(_contiguous(travelling), folder / WEIGHTS)
    paths = {"init": None, "tokenizer": TOKENIZER, "weights": [WEIGHTS] if travelling else []}
    return paths | {"config": to_plain(model.config.to_dict())}


def _readable(weights: Path, folder: Path) -> Path:
    """Weights that a config can name: those of a run's state go into a file of their own."""
    if weights.suffix != ".pt":
        return weights
    save_file(_contiguous(RunState.load(weights).model), folder / WEIGHTS)
    return folder / WEIGHTS


def _contiguous(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in state.items()}
