"""``psalm demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from psalm.cli.console import DeviceOption, ModelOption, console, open_predictor, progress_bar


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("demo"),
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
) -> None:
    """Label sample images by class list, sentence and click, and show them on one HTML page."""
    from psalm.demo.run import run_demo

    predictor = open_predictor(model, device)
    with progress_bar("Demo") as progress:
        page = run_demo(out, predictor, progress=progress)
    console.print(f"Annotations  {out / 'coco.json'}", highlight=False, soft_wrap=True)
    console.print(f"Overlays     {out / 'overlays'}", highlight=False, soft_wrap=True)
    console.print(f"[bold]Open this    {page.resolve().as_uri()}[/]", highlight=False, soft_wrap=True)
