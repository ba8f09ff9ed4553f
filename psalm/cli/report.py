"""``psalm report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from psalm.cli.console import console


def report(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder that psalm prelabel or the annotator wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; report.html in the dataset folder when not given.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="How many of the most and of the least certain images to show.")
    ] = 8,
) -> None:
    """Write one HTML page about a dataset: counts, scores, the most and least certain images, failures, speed."""
    from psalm.prelabel.report import REPORT_NAME, write_page
    from psalm.store import AnnotationStore

    with console.status("Reading the dataset ..."), AnnotationStore.open(dataset, read_only=True) as store:
        page = write_page(store, out or dataset / REPORT_NAME, pictures)
    console.print(escape(page.resolve().as_uri()), highlight=False, soft_wrap=True)
