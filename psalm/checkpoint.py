"""Load and save model folders; read weights of any origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from psalm.config import PSALMConfig
from psalm.errors import CheckpointError, ConfigError
from psalm.files import replacing, write_text
from psalm.modeling.official_checkpoint import check_fit, load_official_state_dict
from psalm.modeling.psalm import PSALM

__all__ = [
    "LoadedModel",
    "default_device",
    "find_model",
    "load_model",
    "load_official_state_dict",
    "read_weights",
    "save_model",
]

SHIPPED = Path(__file__).parent / "weights"


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
) -> LoadedModel:
    """Load a model folder.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a model that ships with psalm, or a folder with ``config.json``, ``model.safetensors``,
        ``tokenizer.json`` and, optionally, ``info.json``.
    device : str or torch.device, optional
        A CUDA device when there is one, else the CPU.
    dtype : torch.dtype, optional
        Precision of the weights in memory; float32 when not given, whatever the file holds.

    Raises
    ------
    CheckpointError
        When the folder or one of its files is missing or damaged, or the files do not fit each other.
    """
    folder = find_model(name_or_path)
    config = _read_config(folder / "config.json")
    info = _read_json(folder / "info.json") if (folder / "info.json").exists() else {}
    tokenizer = _read_tokenizer(folder / "tokenizer.json", config)
    state = {name: _cast(tensor, dtype or torch.float32) for name, tensor in read_weights(folder).items()}
    # Building without memory for the weights lets the file's own, mapped, become the model's.
    with init_empty_weights(include_buffers=False):
        model = PSALM(config)
    check_fit(model, state, f"{folder / 'model.safetensors'} does not fit its config.json")
    model.load_state_dict(state, assign=True)
    model.to(device=device or default_device(), dtype=dtype).eval()
    return LoadedModel(model, tokenizer, config, info)


def save_model(
    folder: str | Path,
    model: PSALM,
    tokenizer: PreTrainedTokenizerFast,
    info: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
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
        Running statistics stay as they are.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    folder = Path(folder)
    parameters = {name for name, _ in model.named_parameters()}
    state = {
        name: _cast(tensor, dtype if name in parameters else None).cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    with replacing(folder / "model.safetensors") as path:
        save_file(state, path)
    with replacing(folder / "tokenizer.json") as path:
        tokenizer.backend_tokenizer.save(str(path))
    for name, values in (("config.json", model.config.to_dict()), ("info.json", dict(info or {}))):
        write_text(folder / name, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a shipped model's name, or the folder itself.

    Raises
    ------
    CheckpointError
        When there is none.
    """
    for folder in (Path(name_or_path), SHIPPED / str(name_or_path)):
        if (folder / "config.json").exists():
            return folder
    if Path(name_or_path).is_dir():
        raise CheckpointError(f"The folder {name_or_path} holds no config.json: it is not a model folder.")
    shipped = sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))
    raise CheckpointError(
        f"There is no model {str(name_or_path)!r}: give the path of a model folder, or one of the names "
        f"that ship with psalm ({', '.join(shipped) or 'none in this installation'})."
    )


def default_device() -> torch.device:
    """CUDA when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a weights file, or of all parts in a folder, mapped where possible.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` or ``.bin`` file, or a folder with ``model*.safetensors`` or ``pytorch_model*.bin``. Pickled
        files are read without running code from them.

    Raises
    ------
    CheckpointError
        When there is no such file, or one is damaged.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("model*.safetensors")) or sorted(path.glob("pytorch_model*.bin"))
    if not files or not files[0].exists():
        raise CheckpointError(f"There are no weights at {path}: expected model.safetensors or pytorch_model.bin.")
    state: dict[str, Tensor] = {}
    for file in files:
        try:
            if file.suffix == ".safetensors":
                state |= load_file(file)
            else:
                state |= torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except (SafetensorError, RuntimeError, OSError, ValueError, TypeError, EOFError, UnpicklingError) as error:
            raise CheckpointError(
                f"The weights {file} cannot be read ({error}): copy or download them again."
            ) from error
    return state


def _read_config(path: Path) -> PSALMConfig:
    try:
        return PSALMConfig.from_dict(_read_json(path))
    except ConfigError as error:
        raise CheckpointError(f"{path} is not a config of this version of psalm: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): copy or download the model again.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no JSON object: copy or download the model again.")
    return values


def _read_tokenizer(path: Path, config: PSALMConfig) -> PreTrainedTokenizerFast:
    if not path.exists():
        raise CheckpointError(f"The tokenizer {path} is missing: put the one the model was trained with there.")
    try:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path))
    except Exception as error:  # the tokenizers library raises nothing more particular
        raise CheckpointError(f"The tokenizer {path} cannot be read ({error}): copy or download it again.") from error
    if len(tokenizer) > config.vocab_size:
        raise CheckpointError(
            f"The tokenizer {path} has {len(tokenizer)} tokens, but the model knows {config.vocab_size}: "
            "use the tokenizer the model was trained with."
        )
    return tokenizer


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
