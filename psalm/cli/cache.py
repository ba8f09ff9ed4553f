"""``psalm cache``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from psalm.cli.console import console

cache = typer.Typer(help="Image features that were kept on disk.", no_args_is_help=True)

FolderOption = Annotated[
    Path | None, typer.Option(help="Folder of the features; the usual one when not given.", show_default=False)
]


@cache.command()
def info(folder: FolderOption = None) -> None:
    """Say where image features are kept, and how much they need."""
    from psalm.feature_store import default_folder, stored_files

    folder = folder or default_folder()
    sizes = [size for _, size, _ in stored_files(folder)]
    _say(f"{folder}: {len(sizes)} images, {_megabytes(sum(sizes))}")


@cache.command()
def clear(folder: FolderOption = None) -> None:
    """Remove all image features; files of other kinds in the folder stay."""
    from psalm.feature_store import default_folder, trim

    folder = folder or default_folder()
    _say(f"{folder}: {_megabytes(trim(folder))} freed")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say(text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)
