"""``psalm relabel``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from psalm.cli.console import DeviceOption, ModelOption, Precision, PrecisionOption, console, progress_bar
from psalm.cli.prelabel import INTERRUPTED, SOME_FAILED, open_engine, show_failures


def relabel(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder that psalm prelabel or the annotator wrote.")],
    model: ModelOption,
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.FLOAT32,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of an object; the model's own when not given.")
    ] = None,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Change the dataset, too: untouched objects on images that nobody took up."),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine, one model each.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a Dask cluster that you trust, tcp://host:8786; its workers need the images."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images per pass of the model; fits the device when not given.")
    ] = None,
) -> None:
    """Ask the recorded prompts of a dataset again with another model, and write what it would change.

    The differences are in relabel.json in the dataset folder. Exit codes as those of prelabel.
    """
    from psalm.prelabel.dataset import read_runs
    from psalm.prelabel.records import ModelChoice
    from psalm.prelabel.relabel import relabel as ask_again
    from psalm.prelabel.tiles import OFF, read_tiles
    from psalm.store import AnnotationStore

    if scheduler and workers > 1:
        raise typer.BadParameter("Give --workers or --scheduler, not both.")
    with AnnotationStore.open(dataset, read_only=True) as store:
        image_root = store.image_root
        # As the last run cut images, so that the models are compared and not the tiles.
        tiles = read_tiles(next((run.tiles for run in reversed(read_runs(store))), "") or OFF)
    wanted = ModelChoice(model, device, threshold, tiles, precision.value)
    engine = open_engine(wanted, image_root, [], workers, scheduler, batch)
    try:
        with progress_bar("Asking again", "images/s") as progress:
            report = ask_again(dataset, engine, apply=apply, progress=progress)
    except KeyboardInterrupt:
        console.print("Stopped. What was asked is kept: the same command goes on.", highlight=False)
        raise typer.Exit(INTERRUPTED) from None
    say = partial(console.print, highlight=False, soft_wrap=True)
    say(
        f"{report.images} images: {report.added} objects added, {report.removed} removed, {report.changed} changed, "
        f"{report.unchanged} the same; mean IoU of those that both found {report.mean_iou:.3f}"
    )
    say(f"{report.applied} images were changed." if apply else "The dataset was not changed; --apply does that.")
    say(f"Differences: {escape(str(report.path))}")
    show_failures(report.failures)
    if report.failures:
        raise typer.Exit(SOME_FAILED)
