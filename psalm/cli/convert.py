"""``psalm convert``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from psalm.cli.console import console


class Precision(str, Enum):
    """Precision of weights in a file."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def convert(
    source: Annotated[str, typer.Argument(help="A fetched checkpoint's name, a folder, or a weights file.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the converted model.")],
    dtype: Annotated[Precision, typer.Option(help="Precision of the weights in the files.")] = Precision.FLOAT32,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Where the tokenizer is, if not beside the weights.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
) -> None:
    """Write a checkpoint as psalm's own safetensors, which load fast and are mapped into memory."""
    import torch

    from psalm.conversion import convert_model

    with console.status(f"Converting {escape(source)} ..."):
        convert_model(source, folder, getattr(torch, dtype.value), tokenizer, overwrite)
    console.print(f"Model: {escape(str(folder))}", highlight=False, soft_wrap=True)
