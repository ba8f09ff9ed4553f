"""Files of weights: one or several parts, safetensors or pickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from psalm.errors import CheckpointError
from psalm.files import replacing, write_text

LARGEST_PART = 2 * 1024**3
_READ_AT_ONCE = 32 * 1024**2
_NAME = "model.safetensors"
_DAMAGED = (SafetensorError, RuntimeError, OSError, ValueError, TypeError, EOFError, UnpicklingError)


def read_weights(path: str | Path, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """All tensors of a weights file, or of all parts in a folder, mapped where possible.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` or ``.bin`` file, an index of parts (``.json``), or a folder with ``model*.safetensors`` or
        ``pytorch_model*.bin``. Pickled files are read without running code from them.
    dtype : torch.dtype, optional
        Give floating-point tensors in this precision; as in the file when not given. What is converted is copied
        tensor by tensor, so that file and copy are never in memory together.

    Raises
    ------
    CheckpointError
        When there is no such file, or one is missing or damaged.
    """
    state: dict[str, Tensor] = {}
    for file in weight_files(Path(path)):
        try:
            state |= _read_safetensors(file, dtype) if file.suffix == ".safetensors" else _read_pickle(file, dtype)
        except _DAMAGED as error:
            raise CheckpointError(
                f"The weights {file} cannot be read ({error}): copy or download them again."
            ) from error
    return state


def weight_files(path: Path) -> list[Path]:
    """The files that hold the weights at `path`.

    Raises
    ------
    CheckpointError
        When there are none, or a part is missing.
    """
    if path.is_dir():
        for name in (_NAME, f"{_NAME}.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"):
            if (path / name).exists():
                return weight_files(path / name)
        files = sorted(path.glob("model*.safetensors")) or sorted(path.glob("pytorch_model*.bin"))
    else:
        files = _parts(path) if path.suffix == ".json" and path.exists() else [path]
    if not files:
        raise CheckpointError(f"There are no weights at {path}: expected {_NAME} or pytorch_model.bin.")
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise CheckpointError(f"Of the weights at {path}, {', '.join(missing)} are missing: copy or fetch them again.")
    return files


def write_weights(folder: Path, state: Mapping[str, Tensor], largest_part: int = LARGEST_PART) -> None:
    """Write tensors as one file, or as parts with an index when they need more than `largest_part` bytes.

    Weights that the folder held before are removed; each file appears whole or not at all.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    plan = split_torch_state_dict_into_shards(dict(state), max_shard_size=largest_part)
    for name, keys in plan.filename_to_tensors.items():
        with replacing(folder / name) as path:
            save_file({key: state[key] for key in keys}, path, metadata={"format": "pt"})
    kept = set(plan.filename_to_tensors)
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        kept.add(write_text(folder / f"{_NAME}.index.json", json.dumps(index, indent=2) + "\n").name)
    for old in (*folder.glob("model*.safetensors"), folder / f"{_NAME}.index.json"):
        if old.name not in kept:
            old.unlink(missing_ok=True)


def _parts(index: Path) -> list[Path]:
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{index} is no index of weights ({error}): copy or download it again.") from error
    # An index may name files beside it only.
    return [index.parent / Path(name).name for name in sorted(set(names))]


def _read_safetensors(file: Path, dtype: torch.dtype | None) -> dict[str, Tensor]:
    if dtype is None:
        return load_file(file)
    with safe_open(file, "pt") as opened:
        waiting = list(opened.keys())
    state = {}
    while waiting:
        # Opened anew now and then: pages that were read count as memory until the file is closed.
        with safe_open(file, "pt") as opened:
            read = 0
            while waiting and read < _READ_AT_ONCE:
                tensor = opened.get_tensor(waiting[-1])
                state[waiting.pop()] = cast(tensor, dtype)
                read += tensor.nbytes
    return state


def cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A floating-point tensor in another precision; any other tensor as it is."""
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _read_pickle(file: Path, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Tensors of a pickled file; anything but plain tensors is refused, so no code of the file runs."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # the older format cannot be mapped
        state = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError("it holds more than named tensors")
    return {name: cast(tensor, dtype) for name, tensor in state.items()}


def hash_weights(model: nn.Module) -> str:
    """What tells the weights of a model from all others: 32 hexadecimal digits from names, types, shapes and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
