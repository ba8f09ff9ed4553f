"""``psalm fetch``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from psalm.cli.console import console


def fetch(
    name: Annotated[str, typer.Argument(help="psalm-1.3b, the published model, or any owner/name on the hub.")],
    revision: Annotated[str | None, typer.Option(help="A branch, tag or commit; the newest when not given.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network: only say where the files are.")] = False,
) -> None:
    """Download a checkpoint from the hub, once; an interrupted download goes on where it stopped."""
    from psalm.hub import fetch as get

    folder = get(name, revision=revision, offline=offline)
    console.print(f"Checkpoint: {escape(str(folder))}", highlight=False, soft_wrap=True)
    console.print(f"Use it as   --model {escape(name)}", highlight=False, soft_wrap=True)
