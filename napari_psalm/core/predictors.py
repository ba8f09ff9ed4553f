"""The model as the plugin sees it, and how it gets into a process that draws a window."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from napari_psalm.core.preferences import read_preferences
from psalm.conditions import Condition, Task
from psalm.errors import CheckpointError, UnknownNameWarning
from psalm.known_names import KnownNames
from psalm.proposals import MaskProposals

_LOADED_LIBRARIES = Path("/proc/self/maps")


class Predictor(Protocol):
    """What the session needs of `psalm.predictor.PSALMPredictor`."""

    @property
    def device(self) -> Any: ...

    @property
    def config(self) -> Any: ...

    @property
    def thresholds(self) -> Any: ...

    @property
    def heeds_exclusions(self) -> bool: ...

    def set_image(self, image: NDArray[Any]) -> Any: ...

    def prefetch(self, image: NDArray[Any]) -> Any: ...

    def predict_proposals(self, condition: Condition, task: Task | None = None) -> MaskProposals: ...


def load_predictor(name: str) -> Predictor:
    """Load a model by name or folder, as Preferences say; the first call imports torch.

    Raises
    ------
    CheckpointError
        When the model cannot be found or loaded, or the device of the preferences is not there.
    """
    keep_triton_out()
    from psalm.feature_store import FeatureStore
    from psalm.predictor import PSALMPredictor

    warnings.simplefilter("ignore", UnknownNameWarning)  # the class list says it, in place
    wanted = read_preferences().model
    store = FeatureStore(memory_bytes=wanted.cache_megabytes * 2**20)
    _check_device(wanted.device)
    return PSALMPredictor.from_pretrained(name, device=None if wanted.device == "auto" else wanted.device, store=store)


def _check_device(device: str) -> None:
    """Say it before torch does, whose words are for programmers."""
    import torch

    there: dict[str, Callable[[], bool]] = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if device in there and not there[device]():
        raise CheckpointError(f"There is no {device} here: choose auto as Device in Preferences > PSALM.")


def known_names(name: str) -> tuple[str, ...]:
    """The names that a model was trained on, where its makers say so; read without loading the model."""
    return KnownNames.of_model(name).names


def keep_triton_out(loaded_libraries: Path = _LOADED_LIBRARIES) -> bool:
    """Stop torch from importing triton where that would end the process; True when it did.

    On Linux, OpenGL by Mesa brings its own LLVM into the process when the first window is drawn. The LLVM inside triton
    then crashes while it loads (torch imports triton on the side; PSALM has no use for it). Where triton is in already,
    or there is no such LLVM, nothing is done.

    Parameters
    ----------
    loaded_libraries : Path
        The file in which Linux lists what the process has loaded.
    """
    if "triton" in sys.modules or not loaded_libraries.exists():
        return False
    if "libLLVM" not in loaded_libraries.read_text(errors="replace"):
        return False
    sys.modules["triton"] = None  # type: ignore[assignment]
    return True
