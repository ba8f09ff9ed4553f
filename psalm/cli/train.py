"""``psalm train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from psalm.cli.console import console


def train(
    config: Annotated[Path, typer.Argument(help="A YAML file that says what is trained, and on what.")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again instead of going on with the run.")] = False,
    share: Annotated[
        float,
        typer.Option(
            min=0.0001, max=1, help="Try the config: only this share of the steps and images, in a folder of its own."
        ),
    ] = 1,
) -> None:
    """Train a model as a config says; the same command goes on with an interrupted run."""
    from psalm.training import TrainConfig
    from psalm.training import train as run

    settings = TrainConfig.from_file(config)
    result = run(settings if share == 1 else settings.shortened(share), resume=not fresh)
    if not result.finished:
        console.print(
            f"Interrupted at stage {result.stage + 1}, step {result.step}; run the same command to go on.",
            highlight=False,
        )
        raise typer.Exit(130)
    console.print(f"Model: {escape(str(result.folder / 'model'))}", highlight=False, soft_wrap=True)
