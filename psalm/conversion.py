"""A checkpoint of any origin, written once as our own model folder."""

from __future__ import annotations

from pathlib import Path

import torch

from psalm.checkpoint import load_model, save_model
from psalm.errors import OutputError
from psalm.weight_files import LARGEST_PART


def convert_model(
    source: str | Path,
    folder: str | Path,
    dtype: torch.dtype = torch.float32,
    tokenizer: str | Path | None = None,
    overwrite: bool = False,
    largest_part: int = LARGEST_PART,
) -> Path:
    """Write a checkpoint as safetensors under our names, with config and tokenizer; later loads are mapped and fast.

    Parameters
    ----------
    source : str or Path
        What `psalm.checkpoint.load_model` takes.
    folder : str or Path
        Where to; made when missing.
    dtype : torch.dtype
        Precision of the weights in the files. Loading in the same precision needs no copy.
    tokenizer : str or Path, optional
        Where the tokenizer is, if not beside the weights.
    overwrite : bool
        Replace a model that is in the folder.
    largest_part : int
        Bytes in one file at most.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CheckpointError
        When the source cannot be loaded.
    OutputError
        When the folder holds a model already, or cannot be written.
    """
    folder = Path(folder)
    if (folder / "config.json").exists() and not overwrite:
        raise OutputError(f"The folder {folder} holds a model already: choose another, or give --overwrite.")
    loaded = load_model(source, device="cpu", dtype=dtype, tokenizer=tokenizer)
    info = {"converted_from": str(source)} | loaded.info
    save_model(folder, loaded.model, loaded.tokenizer, info, largest_part=largest_part)
    return folder
