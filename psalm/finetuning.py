"""Continue from the verified images of an annotator's dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from psalm.checkpoint import find_model
from psalm.conditions import RegionKind, Task
from psalm.config import PSALMConfig
from psalm.errors import OutputError
from psalm.evaluation import evaluate
from psalm.files import write_text
from psalm.official_config import is_official, read_official_config
from psalm.predictor import PSALMPredictor
from psalm.training.finetune_plan import FinetuneOptions, plan_finetuning
from psalm.training.trainer import train
from psalm.training.verified import VerifiedImages, export_verified

# What is measured before and after, and which figures of it are told.
_MEASURED: tuple[tuple[Task, RegionKind | None], ...] = (
    (Task.INSTANCE, None),
    (Task.INTERACTIVE, "box"),
    (Task.INTERACTIVE, "point"),
)
_SHOWN = ("ap", "ap50", "recall50", "precision50", "mean_iou")
Figures = dict[str, float | None]
Watch = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class FinetuneResult:
    """How fine-tuning went.

    Parameters
    ----------
    model : Path
        Folder of the new model; the old one is untouched.
    images : VerifiedImages
    before, after : dict
        Figures of the old and the new model on the held-out images, shares from 0 to 1.
    finished : bool
        False when it was interrupted; the same command goes on.
    """

    model: Path
    images: VerifiedImages
    before: Figures
    after: Figures
    finished: bool = True


def finetune(
    dataset: Path | str,
    output: Path | str,
    model: str = "psalm-tiny",
    options: FinetuneOptions | None = None,
    progress: bool = True,
    watch: Watch | None = None,
) -> FinetuneResult:
    """Fine-tune a model on the verified images of a dataset, measured on some that are held out.

    Parameters
    ----------
    dataset : path
        Of the annotator; it is only read.
    output : path
        New folder; the model goes to ``model`` in it, the figures to ``figures.json``. An interrupted run goes on.
    model : str
        Name or folder of the model to start from; it is never written to.
    options : FinetuneOptions, optional
    progress : bool
        Show the progress of training on the terminal.
    watch : callable, optional
        Given what is being done, a context to do it in.

    Raises
    ------
    AnnotationError
        When too few images are verified.
    OutputError
        When `output` holds something else.
    """
    chosen, folder, within = options or FinetuneOptions(), Path(output), watch or (lambda _: nullcontext())
    _check_output(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images = export_verified(dataset, folder, chosen.held_out)
    with within("Measuring the old model"):
        before = measure_model(model, images, chosen.device)
    plan = plan_finetuning(model, read_config(model), images, folder, chosen)
    result = train(plan, progress=progress)
    if not result.finished:
        return FinetuneResult(folder / "model", images, before, {}, finished=False)
    _hand_on_info(find_model(model), folder / "model", images)
    with within("Measuring the new model"):
        after = measure_model(str(folder / "model"), images, chosen.device)
    told = replace(images, annotations=Path("annotations.json"))
    report = {"model": model, "before": before, "after": after, "images": asdict(told), "options": asdict(chosen)}
    write_text(folder / "figures.json", json.dumps(report, indent=2, default=str) + "\n")
    return FinetuneResult(folder / "model", images, before, after)


def measure_model(model: str, images: VerifiedImages, device: str | None = None, split: str = "val") -> Figures:
    """Figures of a model on one split, as `psalm evaluate` gives them, by task, prompt and name."""
    predictor = PSALMPredictor.from_pretrained(model, device=device)
    figures: Figures = {}
    for task, prompt in _MEASURED:
        overall = evaluate(predictor, images.annotations, images.images, task, prompt, split)["overall"]
        name = f"{task.value} {prompt}" if prompt else task.value
        figures |= {f"{name} {key}": value for key, value in overall.items() if key in _SHOWN}
    return figures


def read_config(model: str) -> PSALMConfig:
    """The config of a model folder, ours or a published one."""
    values: dict[str, Any] = json.loads((find_model(model) / "config.json").read_text(encoding="utf-8"))
    return read_official_config(values) if is_official(values) else PSALMConfig.from_dict(values)


def _hand_on_info(old: Path, new: Path, images: VerifiedImages) -> None:
    """Thresholds and names of the old model belong to the new one as well, and the dataset's names are added."""
    known = json.loads((old / "info.json").read_text(encoding="utf-8")) if (old / "info.json").exists() else {}
    made = json.loads((new / "info.json").read_text(encoding="utf-8"))
    names = sorted({*known.get("names", ()), *images.names})
    info = known | made | {"names": names, "finetuned_from": known.get("name", old.name)}
    write_text(new / "info.json", json.dumps(info, indent=2, ensure_ascii=False) + "\n")


def _check_output(folder: Path) -> None:
    if folder.is_file():
        raise OutputError(f"{folder} is a file: name a new folder.")
    if folder.exists() and any(folder.iterdir()) and not (folder / "annotations.json").exists():
        raise OutputError(f"{folder} holds something else: name a new folder, so that nothing is overwritten.")
