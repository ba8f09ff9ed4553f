"""What the benchmarks share: the machine's own speed, a model with random weights, and the file that figures go to."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from psalm.config import PSALMConfig
from psalm.files import write_text
from psalm.modeling.psalm import PSALM

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "performance.json"

# The published code, one click on a 1024 x 1024 image in float32, measured on two otherwise idle cores.
OFFICIAL_RATE = 182.0
OFFICIAL_SECONDS = {
    "backbone, twice": 10.4,
    "language model": 6.9,
    "pixel decoder": 5.5,
    "mask decoder": 0.9,
    "post-processing": 2.5,
    "everything": 26.7,
}


class Letters:
    """Stands for a tokenizer: a token for every four letters, which is about what the published one needs."""

    def get_vocab(self) -> dict[str, int]:
        """The one token that prompts ask for by name."""
        return {"[SEG]": 1}

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Ids within any vocabulary."""
        return [2 + sum(map(ord, text[i : i + 4])) % 300 for i in range(0, len(text), 4)]


def build(config: PSALMConfig, dtype: torch.dtype, device: str = "cpu") -> PSALM:
    """A model with random weights, made in `dtype`, so that no second copy is ever in memory."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        # Drawing billions of numbers twice would take longer than the forward pass.
        with torch.device(device), Uninitialised():
            model = PSALM(config)
    finally:
        torch.set_default_dtype(before)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.02)
            else:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    return model.eval()


class Uninitialised:
    """Leaves out the modules' own initialisation."""

    def __enter__(self) -> None:
        self.kept = {kind: kind.reset_parameters for kind in (nn.Linear, nn.Conv2d, nn.Embedding)}
        for kind in self.kept:
            kind.reset_parameters = lambda self: None  # type: ignore[method-assign]

    def __exit__(self, *error: Any) -> None:
        for kind, method in self.kept.items():
            kind.reset_parameters = method  # type: ignore[method-assign]


def matmul_rate(dtype: torch.dtype, side: int = 2048, repeats: int = 5) -> float:
    """The best of a few products of square matrices, in GFLOP/s."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return 2 * side**3 / best(lambda: a @ b, repeats) / 1e9


def best(run: Callable[[], Any], repeats: int = 1) -> float:
    """The shortest time of a few runs in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def peak() -> float:
    """The most memory this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def official_seconds(rate: float, part: str = "everything") -> float:
    """What the published code would take on a machine of a float32 rate, by its figure on another one."""
    return OFFICIAL_SECONDS[part] * OFFICIAL_RATE / rate


def keep(section: str, figures: dict[str, Any], path: Path | None) -> None:
    """Print figures, and put them into the file of results, which keeps its other sections."""
    for name, value in figures.items():
        print(f"{name:<44} {value:.3g}" if isinstance(value, float) else f"{name:<44} {value}", flush=True)
    if path is None:
        return
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[section] = figures
    write_text(path, json.dumps(known, indent=2, sort_keys=True) + "\n")
