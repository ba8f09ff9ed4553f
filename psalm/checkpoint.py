"""Load and save model folders; read weights of any origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import PreTrainedTokenizerFast

from psalm.config import PSALMConfig
from psalm.errors import CheckpointError, ConfigError
from psalm.files import replacing, write_text
from psalm.model_folders import find_model
from psalm.model_tokenizer import read_tokenizer
from psalm.modeling.official_checkpoint import check_fit, load_official_state_dict
from psalm.modeling.older_weights import completed
from psalm.modeling.psalm import PSALM
from psalm.official_config import is_official, read_official_config
from psalm.weight_files import LARGEST_PART, cast, read_weights, write_weights

__all__ = [
    "LoadedModel",
    "default_device",
    "find_model",
    "load_model",
    "load_official_state_dict",
    "read_weights",
    "save_model",
]


@dataclass(frozen=True)
class LoadedModel:
    """A model, ready to use, with what belongs to it.

    Parameters
    ----------
    model : PSALM
        In evaluation mode, on its device.
    tokenizer : transformers tokenizer
    config : PSALMConfig
    info : dict
        What its makers say of it: names it knows, thresholds, training data; plain JSON.
    """

    model: PSALM
    tokenizer: PreTrainedTokenizerFast
    config: PSALMConfig
    info: dict[str, Any] = field(default_factory=dict)


def load_model(
    name_or_path: str | Path = "psalm-tiny",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    tokenizer: str | Path | None = None,
) -> LoadedModel:
    """Load a model: ours, or a published checkpoint as it was released.

    The network is never used; `psalm.hub.fetch` gets a checkpoint from the hub.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a model that ships with psalm, name of a checkpoint that was fetched from the hub, a folder with
        ``config.json``, weights (one file or parts, ``.safetensors`` or ``.bin``), a tokenizer and, optionally,
        ``info.json``, or a weights file in such a folder.
    device : str or torch.device, optional
        A CUDA device when there is one, else the CPU.
    dtype : torch.dtype, optional
        Precision of the weights in memory; float32 when not given, whatever the file holds. Weights that the file
        holds in that precision are mapped into memory instead of copied.
    tokenizer : str or Path, optional
        Tokenizer file or folder, where it does not lie beside the weights.

    Raises
    ------
    CheckpointError
        When the folder or one of its files is missing or damaged, or the files do not fit each other.
    """
    folder = find_model(name_or_path)
    values = _read_json(folder / "config.json")
    config = _read_config(values, folder / "config.json")
    info = _read_json(folder / "info.json") if (folder / "info.json").exists() else {}
    words = read_tokenizer(tokenizer or folder, config.vocab_size)
    weights = Path(name_or_path) if Path(name_or_path).is_file() else folder
    state = read_weights(weights, dtype or torch.float32)
    # Building without memory for the weights lets the file's own, mapped, become the model's.
    with init_empty_weights(include_buffers=False):
        model = PSALM(config)
    if is_official(values):
        load_official_state_dict(model, state)
    else:
        state = completed(state, model)
        check_fit(model, state, f"The weights {weights} do not fit {folder / 'config.json'}")
        model.load_state_dict(state, assign=True)
    # Buffers that are no weights, such as the rotary frequencies, keep their precision.
    model.to(device=device or default_device()).eval()
    return LoadedModel(model, words, config, info)


def save_model(
    folder: str | Path,
    model: PSALM,
    tokenizer: PreTrainedTokenizerFast,
    info: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    largest_part: int = LARGEST_PART,
) -> None:
    """Write a model folder that `load_model` reads; each file appears whole or not at all.

    Parameters
    ----------
    folder : str or Path
        Made when missing; an older model in it is replaced.
    model : PSALM
    tokenizer : transformers tokenizer
    info : mapping, optional
        Plain JSON, for whoever loads the model.
    dtype : torch.dtype, optional
        Precision of the weights in the file, say ``torch.float16`` for half the size; as in memory when not given.
        Of the buffers running means alone follow it.
    largest_part : int
        Bytes; larger weights are written in several parts with an index.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    folder = Path(folder)
    state = model.state_dict()
    # A running mean is no finer than the weights before it; a variance may lie beyond what half precision holds.
    coarse = {name for name, _ in model.named_parameters()} | {name for name in state if name.endswith("running_mean")}
    state = {name: cast(value, dtype if name in coarse else None).cpu().contiguous() for name, value in state.items()}
    write_weights(folder, state, largest_part)
    with replacing(folder / "tokenizer.json") as path:
        tokenizer.backend_tokenizer.save(str(path))
    for name, values in (("config.json", model.config.to_dict()), ("info.json", dict(info or {}))):
        write_text(folder / name, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def default_device() -> torch.device:
    """CUDA when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _read_config(values: dict[str, Any], path: Path) -> PSALMConfig:
    try:
        return read_official_config(values) if is_official(values) else PSALMConfig.from_dict(values)
    except (ConfigError, TypeError) as error:
        raise CheckpointError(f"{path} is not a config of this version of psalm: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): copy or download the model again.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no JSON object: copy or download the model again.")
    return values
