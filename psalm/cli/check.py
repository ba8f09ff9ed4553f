"""``psalm check``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from psalm.cli.console import console

if TYPE_CHECKING:
    from psalm.coco import Fault

# A faulty image entry makes all its annotations faulty, whose list would hide the cause.
_MOST_OF_A_KIND = 20


def check(
    file: Annotated[Path, typer.Argument(help="A COCO instances file, written by any program.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder in which its file names start; the images are compared too.")
    ] = None,
) -> None:
    """Check a COCO file, and say of every fault how to mend it; exit code 1 when there are any."""
    from psalm.coco import check_coco

    with console.status(f"Checking {escape(str(file))} ..."):
        faults = check_coco(file, images)
    show_faults(faults)
    if faults:
        fatal = sum(fault.fatal for fault in faults)
        console.print(f"[bold]{len(faults)} faults[/], {fatal} of them leave in doubt what is meant.", highlight=False)
        raise typer.Exit(1)
    console.print(
        f"{escape(str(file))} is fine: COCOeval gives 1.0 for it against itself.", highlight=False, soft_wrap=True
    )


def show_faults(faults: list[Fault]) -> None:
    """List faults; those of a kind together, with their cure once, and the first ones of many."""
    ordered = sorted(faults, key=lambda fault: (not fault.fatal, fault.kind, fault.cure))
    for (kind, cure), group in groupby(ordered, key=lambda fault: (fault.kind, fault.cure)):
        console.print(f"[bold]{escape(kind)}[/]: {escape(cure)}.", highlight=False, soft_wrap=True)
        found = list(group)
        for fault in found[:_MOST_OF_A_KIND]:
            console.print(f"  {escape(fault.where)}: {escape(fault.what)}", highlight=False, soft_wrap=True)
        if len(found) > _MOST_OF_A_KIND:
            console.print(f"  and {len(found) - _MOST_OF_A_KIND} more.", highlight=False)
