"""What the commands share: the terminal, progress, and opening a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from psalm.errors import ConfigError

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

console = Console()

ModelOption = Annotated[
    str, typer.Option(help="Name of a model that ships with psalm or was fetched, or a model folder.")
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, ...; the first GPU when there is one.", show_default=False)
]


def show_error(message: str) -> None:
    """One line on the error stream."""
    Console(stderr=True, soft_wrap=True).print(f"[bold red]Error:[/] {escape(message)}", highlight=False)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar; gives a function to call with (done, total, what is being done)."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[item]}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, item="")
        yield lambda done, total, item: progress.update(task, completed=done, total=total, item=item)


def open_predictor(model: str, device: str | None) -> PSALMPredictor:
    """Load a model, with a word about it, for loading takes seconds."""
    with console.status(f"Loading {escape(model)} ..."):
        from psalm.predictor import PSALMPredictor

        _check_device(device)
        predictor = PSALMPredictor.from_pretrained(model, device=device)
    console.print(f"{escape(predictor.config.name)} on {predictor.device}", highlight=False)
    return predictor


def _check_device(device: str | None) -> None:
    if device is None:
        return
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ConfigError(f"There is no device {device!r}: give cpu, cuda, cuda:1 or mps.") from None
    missing = (kind == "cuda" and not torch.cuda.is_available()) or (
        kind == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise ConfigError(f"This machine offers torch no {kind} device: leave --device out, or give cpu.")
