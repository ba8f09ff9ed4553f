"""``psalm finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from psalm.cli.console import DeviceOption, ModelOption, check_device, console

if TYPE_CHECKING:
    from psalm.finetuning import FinetuneResult


def finetune(
    dataset: Annotated[Path, typer.Argument(help="Folder of the annotator's dataset.")],
    out: Annotated[Path, typer.Option(help="New folder for the model; the old model stays as it is.")],
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
    held_out: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of the images kept for measuring.")] = 0.2,
    steps: Annotated[int, typer.Option(min=1, help="How long each part learns; more for more images.")] = 80,
    lr: Annotated[float | None, typer.Option(help="Learning rate, where the default is not right.")] = None,
    lora: Annotated[
        int | None, typer.Option(min=0, help="Rank of additions to the language model; 0 trains all its weights.")
    ] = None,
    freeze: Annotated[list[str] | None, typer.Option(help="A part that shall not change, by its name.")] = None,
    patience: Annotated[int, typer.Option(min=0, help="Looks without gain before a part ends; 0 never ends.")] = 2,
    seed: Annotated[int, typer.Option(help="Another one draws the images in another order.")] = 0,
) -> None:
    """Teach a model from the verified images of a dataset, and show what it gained on some that it did not see."""
    check_device(device)
    with console.status("Opening the dataset ..."):
        from psalm.finetuning import FinetuneOptions
        from psalm.finetuning import finetune as run

    options = FinetuneOptions(held_out, steps, lr, lora, tuple(freeze or ()), patience, seed, device)
    result = run(dataset, out, model, options, watch=lambda what: console.status(f"{what} ..."))
    if not result.finished:
        console.print("Interrupted; run the same command to go on.", highlight=False)
        raise typer.Exit(130)
    _tell(result)


def _tell(result: FinetuneResult) -> None:
    images = result.images
    console.print(
        f"{images.trained} images to learn from, {images.held_out} held out, {images.objects} objects."
        + (f" {images.left_out} verified images could not be used." if images.left_out else ""),
        highlight=False,
    )
    table = Table("held-out images", "before", "after", title_justify="left")
    for name, before in result.before.items():
        table.add_row(name, _percent(before), _percent(result.after.get(name)))
    console.print(table)
    console.print(f"Model: {escape(str(result.model))}", highlight=False, soft_wrap=True)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
