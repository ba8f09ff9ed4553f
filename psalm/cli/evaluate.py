"""``psalm evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from psalm.cli.console import DeviceOption, ModelOption, console, open_predictor, progress_bar
from psalm.conditions import RegionKind, Task


def evaluate(
    images: Annotated[Path, typer.Option(help="Folder in which the annotations' file names start.")],
    annotations: Annotated[Path, typer.Option(help="COCO instances file with the truth.")],
    task: Annotated[Task, typer.Option(help="What is asked of each image.")],
    prompt: Annotated[
        RegionKind | None, typer.Option(help="For interactive: the mark made for each object; point when not given.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only images of this split.")] = None,
    refs: Annotated[
        Path | None, typer.Option(help="For referring: the sentences; refs.json beside the annotations by default.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many images, spread over the file.")] = None,
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write all figures to this file.")] = None,
) -> None:
    """Measure a model on a COCO file, as the field measures it."""
    from psalm.evaluation import evaluate as measure
    from psalm.evaluation import format_report
    from psalm.files import write_text

    predictor = open_predictor(model, device)
    with progress_bar("Evaluating") as show:
        result = measure(
            predictor,
            annotations,
            images,
            task,
            prompt=prompt,
            split=split,
            limit=limit,
            refs=refs,
            progress=lambda done, total: show(done, total, ""),
        )
    console.print(format_report(result), highlight=False, markup=False, soft_wrap=True)
    if json_file:
        figures = {"model": predictor.config.name, **result}
        write_text(json_file, json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        console.print(f"\nAll figures: {escape(str(json_file))}", highlight=False, soft_wrap=True)
