"""The ``psalm`` command."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from psalm import __version__
from psalm.cli.cache import cache
from psalm.cli.check import check
from psalm.cli.console import show_error
from psalm.cli.convert import convert
from psalm.cli.data import app as data
from psalm.cli.dataset import dataset
from psalm.cli.demo import demo
from psalm.cli.evaluate import evaluate
from psalm.cli.export import export
from psalm.cli.fetch import fetch
from psalm.cli.finetune import finetune
from psalm.cli.import_ import import_
from psalm.cli.info import info
from psalm.cli.parity import parity
from psalm.cli.prelabel import prelabel
from psalm.cli.propagate import propagate
from psalm.cli.relabel import relabel
from psalm.cli.report import report
from psalm.cli.train import train
from psalm.errors import PSALMError


class _Commands(TyperGroup):
    """Turns the errors that psalm raises on purpose into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PSALMError as error:
            show_error(str(error))
            raise typer.Exit(1) from None


app = typer.Typer(
    name="psalm",
    cls=_Commands,
    help="Segment images with class lists, sentences and clicks.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)
for command in (
    demo,
    prelabel,
    propagate,
    relabel,
    report,
    train,
    finetune,
    evaluate,
    info,
    fetch,
    convert,
    parity,
    export,
    check,
):
    app.command()(command)
app.command("import")(import_)

app.add_typer(cache, name="cache")
app.add_typer(data, name="data")
app.add_typer(dataset, name="dataset")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Segment images with class lists, sentences and clicks."""
