"""The model as the plugin sees it, and how it gets into a process that draws a window."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import Condition, Task

_LOADED_LIBRARIES = Path("/proc/self/maps")


class Predictor(Protocol):
    """What the session needs of `psalm.predictor.PSALMPredictor`."""

    @property
    def device(self) -> Any: ...

    @property
    def config(self) -> Any: ...

    def set_image(self, image: NDArray[Any]) -> Any: ...

    def predict(
        self, condition: Condition, task: Task | None = None, score_threshold: float | None = None
    ) -> Annotations: ...


def load_predictor(name: str) -> Predictor:
    """Load a model by name or folder; the first call imports torch."""
    keep_triton_out()
    from psalm.predictor import PSALMPredictor

    return PSALMPredictor.from_pretrained(name)


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
