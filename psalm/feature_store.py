"""Image features that are kept for later: in memory up to a number of bytes, and on disk where that is wanted."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from psalm import __version__
from psalm.errors import OutputError
from psalm.files import replacing
from psalm.modeling.features import ImageFeatures
from psalm.modeling.psalm import PSALM
from psalm.weight_files import hash_weights

_NAME = re.compile(r"[0-9a-f]{64}\.safetensors")
_MEMORY = 1 << 30
_DISK = 8 << 30


class FeatureStore:
    """Features of images by key; those that were used least recently go first.

    Any thread may use it. What is on disk serves later sessions too; what the language model has read is kept in memory
    alone.

    Parameters
    ----------
    memory_bytes : int
        The most that is held in memory; an image that needs more on its own is not kept.
    folder : path, optional
        Where features are also written; nowhere when not given. See `default_folder`.
    disk_bytes : int
        The most that the folder may hold.
    """

    def __init__(self, memory_bytes: int = _MEMORY, folder: Path | str | None = None, disk_bytes: int = _DISK) -> None:
        self.folder = None if folder is None else Path(folder)
        self._memory_bytes, self._disk_bytes = memory_bytes, disk_bytes
        self._kept: OrderedDict[str, ImageFeatures] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """What is held in memory."""
        with self._lock:
            return sum(features.nbytes for features in self._kept.values())

    def obtain(self, key: str, make: Callable[[], ImageFeatures], device: torch.device | str = "cpu") -> ImageFeatures:
        """The features under a key, made when there are none.

        Threads that ask for one key at the same time wait for the first of them.

        Parameters
        ----------
        key : str
            From `feature_key`.
        make : callable
        device : torch device
            Where features that lie on disk are read to.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                features = self._recall(key) or self._read(key, device)
                if features is None:
                    features = make()
                    self._write(key, features)
                self._keep(key, features)
                return features
        finally:
            with self._lock:
                self._making.pop(key, None)

    def clear(self) -> None:
        """Forget what is in memory."""
        with self._lock:
            self._kept.clear()

    def _recall(self, key: str) -> ImageFeatures | None:
        with self._lock:
            return self._kept.get(key)

    def _keep(self, key: str, features: ImageFeatures) -> None:
        with self._lock:
            self._kept[key] = features
            self._kept.move_to_end(key)
            # Sizes are counted anew, for features grow with what is read of them.
            sizes = {name: kept.nbytes for name, kept in self._kept.items()}
            held = sum(sizes.values())
            for name in list(self._kept):
                if held <= self._memory_bytes:
                    break
                held -= sizes[name]
                del self._kept[name]

    def _read(self, key: str, device: torch.device | str) -> ImageFeatures | None:
        if self.folder is None:
            return None
        path = self.folder / f"{key}.safetensors"
        try:
            tensors = load_file(path, device=str(device))
            os.utime(path)  # the time of the last use decides what goes first
            return _features(tensors)
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, KeyError, ValueError):
            path.unlink(missing_ok=True)
            return None

    def _write(self, key: str, features: ImageFeatures) -> None:
        if self.folder is None:
            return
        try:
            with replacing(self.folder / f"{key}.safetensors") as path:
                save_file(_tensors(features), path)
            trim(self.folder, self._disk_bytes)
        except OutputError:
            self.folder = None  # a full or read-only disk costs time, not the answer


def feature_key(rgb8: NDArray[np.uint8], encoder: str) -> str:
    """What tells the features of an image from all others: 64 hexadecimal digits.

    Parameters
    ----------
    rgb8 : (H, W, 3) array of uint8
        The image before it is resized.
    encoder : str
        From `encoder_hash`: weights, preprocessing and version.
    """
    digest = hashlib.sha256(f"{encoder} {rgb8.shape};".encode())
    digest.update(np.ascontiguousarray(rgb8).data)
    return digest.hexdigest()


def encoder_hash(model: PSALM) -> str:
    """What decides over an image's features besides the image: weights and their precision, config, psalm's version."""
    parts = (model.backbone, model.semantic_backbone, model.projector, model.mask_generator)
    hashes = [hash_weights(part) for part in parts if part is not None]  # type: ignore[arg-type]
    text = json.dumps([__version__, model.config.to_dict(), *hashes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Weights:
    """Notices when a model's weights have changed since they were last looked at.

    Parameters
    ----------
    model : PSALM
    """

    def __init__(self, model: PSALM) -> None:
        self._model = model
        self._seen: list[tuple[Tensor, int]] = []
        self.generation = 0

    def look(self) -> int:
        """The generation of the weights; it rises with every change."""
        now = [(tensor, _version(tensor)) for tensor in (*self._model.parameters(), *self._model.buffers())]
        same = len(now) == len(self._seen) and all(
            tensor is before and version == count
            for (tensor, version), (before, count) in zip(now, self._seen, strict=True)
        )
        if not same:
            # The tensors themselves are kept, so that a new one cannot lie where an old one was and be taken for it.
            self._seen = now
            self.generation += 1
        return self.generation


def default_folder() -> Path:
    """Where features are kept on disk: below ``PSALM_CACHE``, or the user's folder for such files."""
    chosen = os.environ.get("PSALM_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psalm"
    return (Path(chosen) if chosen else base) / "features"


def stored_files(folder: Path | str) -> Iterator[tuple[Path, int, float]]:
    """Path, bytes and time of the last use of each file of features in a folder; other files are left alone."""
    folder = Path(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if _NAME.fullmatch(path.name):
            try:
                facts = path.stat()
            except FileNotFoundError:  # another process was faster
                continue
            yield path, facts.st_size, facts.st_mtime


def trim(folder: Path | str, most_bytes: int = 0) -> int:
    """Remove the files of features that were used least recently until the folder holds at most so many bytes.

    Returns
    -------
    int
        How many bytes were freed.
    """
    files = sorted(stored_files(folder), key=lambda file: file[2])
    held, freed = sum(size for _, size, _ in files), 0
    for path, size, _ in files:
        if held - freed <= most_bytes:
            break
        path.unlink(missing_ok=True)
        freed += size
    return freed


def _tensors(features: ImageFeatures) -> dict[str, Tensor]:
    named = {f"pyramid.{i}": level for i, level in enumerate(features.pyramid)}
    named |= {f"generator.{name}": tensor for name, tensor in features.generator.items()}
    named["image_tokens"] = features.image_tokens
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named.items()}


def _features(tensors: dict[str, Tensor]) -> ImageFeatures:
    levels = sum(name.startswith("pyramid.") for name in tensors)
    generator = {
        name.removeprefix("generator."): tensor for name, tensor in tensors.items() if name.startswith("generator.")
    }
    return ImageFeatures(tuple(tensors[f"pyramid.{i}"] for i in range(levels)), tensors["image_tokens"], generator)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
