"""What the commands share: the terminal, progress, and opening a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from psalm.errors import ConfigError

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

console = Console()


class Precision(str, Enum):
    """How exact the model's weights are in memory."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


ModelOption = Annotated[
    str, typer.Option(help="Name of a model that ships with psalm or was fetched, or a model folder.")
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, ...; the first GPU when there is one.", show_default=False)
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="Of the weights: bfloat16 needs half the memory, int8 is for a CPU without bfloat16.")
]


def show_error(message: str) -> None:
    """One line on the error stream."""
    Console(stderr=True, soft_wrap=True).print(f"[bold red]Error:[/] {escape(message)}", highlight=False)


@contextmanager
def progress_bar(title: str, unit: str = "") -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar; gives a function to call with (done, total, what is being done). With a unit, it shows the rate."""
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
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[item]}", markup=False),
    )
    # Speed is that of the last minutes: batches and workers answer in bursts.
    with Progress(*columns, console=console, speed_estimate_period=120) as progress:
        task = progress.add_task(title, total=None, item="", rate="")

        start = time.perf_counter()

        def show(done: int, total: int, item: str) -> None:
            speed = progress.tasks[0].finished_speed or progress.tasks[0].speed
            # What is done within a moment are files that failed at once: their rate says nothing.
            rate = f"{speed:.2f} {unit}" if unit and speed and time.perf_counter() - start > 1 else ""
            progress.update(task, completed=done, total=total, item=item, rate=rate)

        yield show


def open_predictor(model: str, device: str | None, precision: Precision = Precision.FLOAT32) -> PSALMPredictor:
    """Load a model, with a word about it, for loading takes seconds."""
    with console.status(f"Loading {escape(model)} ..."):
        from psalm.predictor import PSALMPredictor

        check_device(device)
        predictor = PSALMPredictor.from_pretrained(model, device=device, precision=precision.value)
    console.print(f"{escape(predictor.config.name)} on {predictor.device}", highlight=False)
    return predictor


def check_device(device: str | None) -> None:
    """Refuse a device that torch does not know or this machine does not have.

    Raises
    ------
    ConfigError
    """
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
