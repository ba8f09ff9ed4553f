"""``psalm parity``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from psalm.cli.console import console, progress_bar

if TYPE_CHECKING:
    from psalm.parity import Finding


def parity(
    folder: Annotated[Path, typer.Argument(help="Folder of numbers recorded from the published code.")],
    every: Annotated[bool, typer.Option("--all", help="A row per layer and parameter, not only the worst.")] = False,
) -> None:
    """Compare this code with the published code's recorded numbers; exit code 1 where they differ."""
    from psalm.parity import run_parity, worst_of_each

    with progress_bar("Comparing") as progress:
        findings = run_parity(folder, progress)
    console.print(_table(findings if every else worst_of_each(findings)), highlight=False)
    apart = sum(not finding.agrees for finding in findings)
    if apart:
        console.print(f"[bold red]{apart} of {len(findings)} comparisons are beyond tolerance.[/]", highlight=False)
        raise typer.Exit(1)
    console.print(f"All {len(findings)} comparisons agree.", highlight=False)


def _table(findings: list[Finding]) -> Table:
    table = Table("case", "stage", box=None, padding=(0, 2, 0, 0))
    table.add_column("largest error", justify="right")
    table.add_column("allowed", justify="right")
    table.add_column("verdict")
    case = ""
    for finding in findings:
        name, case = ("" if finding.case == case else finding.case), finding.case
        verdict = "agrees" if finding.agrees else "[bold red]differs[/]"
        table.add_row(escape(name), escape(finding.stage), _amount(finding), f"{finding.tolerance:.2g}", verdict)
    return table


def _amount(finding: Finding) -> str:
    return f"{finding.error:.2g} {finding.unit}".rstrip()
