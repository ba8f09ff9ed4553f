"""``psalm data``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from psalm.cli.console import console, progress_bar

if TYPE_CHECKING:
    from psalm.data.check import Finding

app = typer.Typer(no_args_is_help=True, help="Data sets for training and evaluation.")


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A folder of data sets under their usual names, or of one.")],
    dataset: Annotated[
        list[str] | None, typer.Option(help="Report this data set even when nothing of it is there; several times.")
    ] = None,
) -> None:
    """Say which data sets a folder holds, and what is missing and where to get it; exit code 1 where some is."""
    from psalm.data.check import check_data
    from psalm.errors import AnnotationError

    if not folder.is_dir():
        raise AnnotationError(f"There is no folder {folder}: give the folder with the data sets.")
    with progress_bar("Looking") as progress:
        findings = check_data(folder, tuple(dataset or ()), progress)
    if not findings:
        raise AnnotationError(f"{folder} holds no data set that psalm knows; --dataset NAME says what one needs.")
    console.print(_table(findings), highlight=False)
    for finding in findings:
        for line in _problems(finding):
            console.print(escape(line), highlight=False, soft_wrap=True)
    if not all(finding.complete for finding in findings):
        raise typer.Exit(1)


@app.command()
def interactive(
    annotations: Annotated[Path, typer.Argument(help="COCO instances file, such as instances_val2017.json.")],
    out: Annotated[Path, typer.Option(help="The file, such as coco_interactive_val_psalm.json.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same prompts.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Make COCO-Interactive: a point, scribble, box and mask for every object of a COCO file."""
    from psalm.data.interactive import write_interactive
    from psalm.errors import OutputError

    if out.exists() and not overwrite:
        raise OutputError(f"{out} is already there: give another name, or --overwrite.")
    with progress_bar("Drawing prompts") as progress:
        count = write_interactive(annotations, out, seed, lambda done, total: progress(done, total, ""))
    console.print(f"{count} objects, four prompts each: {escape(str(out))}", highlight=False, soft_wrap=True)


def _table(findings: list[Finding]) -> Table:
    table = Table("data set", "split", box=None, padding=(0, 2, 0, 0))
    table.add_column("found", justify="right")
    table.add_column("state")
    table.add_column("folder", overflow="fold")
    for finding in findings:
        count = str(finding.count) if finding.count else ""
        table.add_row(finding.name, finding.split, count, _state(finding), escape(str(finding.root)))
    return table


def _state(finding: Finding) -> str:
    if finding.complete:
        return "complete"
    return "[bold red]damaged[/]" if finding.problem else "[yellow]incomplete[/]"


def _problems(finding: Finding) -> list[str]:
    lines = [f"  {line}" for line in finding.missing]
    lines += [f"  {finding.problem}"] if finding.problem else []
    lines += [f"  {finding.lost_images} images are missing"] if finding.lost_images else []
    return [f"{finding.name} {finding.split}:", *lines] if lines else []
