"""Time and memory of the published architecture with random weights: all three conditions on one image.

    python benchmarks/full_size.py --dtype bfloat16
    python benchmarks/full_size.py --size small

Weights are made in the wanted precision, so that no second copy is ever in memory.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition, SentenceCondition, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.modeling.psalm import PSALM
from psalm.predictor import PSALMPredictor

LIMITS = {torch.float32: 12.0, torch.bfloat16: 8.0}
IMAGE = (720, 1024, 3)


class Letters:
    """Stands for a tokenizer: a token for every four letters, which is about what the published one needs."""

    def get_vocab(self) -> dict[str, int]:
        """The one token that prompts ask for by name."""
        return {"[SEG]": 1}

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Ids within any vocabulary."""
        return [2 + sum(map(ord, text[i : i + 4])) % 300 for i in range(0, len(text), 4)]


def build(config: PSALMConfig, dtype: torch.dtype, device: str) -> PSALM:
    """A model with random weights, made in `dtype`."""
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
    restore_rotary(model)
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


def restore_rotary(model: PSALM) -> None:
    """Rotary frequencies stay in float32 whatever the weights are, as after loading a checkpoint."""
    config = model.config
    width = int(config.lm_hidden // config.lm_heads * config.lm_rotary_fraction)
    steps = torch.arange(0, width, 2, dtype=torch.float32) / width
    rotary = model.language_model.model.rotary_emb
    rotary.inv_freq = (1.0 / config.lm_rope_theta**steps).to(rotary.inv_freq.device)


def peak() -> float:
    """The most memory this process has held, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def timed(name: str, run: Callable[[], Any], device: str) -> None:
    """Run and print the time it took, and the peak of memory so far."""
    start = time.perf_counter()
    result = run()
    if device != "cpu":
        torch.cuda.synchronize()
    found = f"  {len(result)} objects" if isinstance(result, Annotations) else ""
    memory = f"{peak():6.2f} GiB"
    if device != "cpu":
        memory += f"  GPU {torch.cuda.max_memory_allocated() / 2**30:6.2f} GiB"
    print(f"{name:<12} {time.perf_counter() - start:8.1f} s  {memory}{found}", flush=True)


def main() -> int:
    """Run the benchmark; exit code 1 when a limit for the CPU is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--size", choices=["full", "small"], default="full")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--classes", type=int, default=133)
    choices = parser.parse_args()
    dtype = getattr(torch, choices.dtype)
    config = PSALMConfig() if choices.size == "full" else PSALMConfig.small(max_length=2048)
    predictors: list[PSALMPredictor] = []

    def start() -> None:
        tokenizer: Any = Letters()
        predictors.append(PSALMPredictor(build(config, dtype, choices.device), tokenizer))

    timed("build", start, choices.device)
    predictor = predictors[0]
    parameters = sum(parameter.numel() for parameter in predictor.model.parameters())
    print(f"{parameters / 1e6:.0f} million parameters in {choices.dtype} on {choices.device}")
    image = np.random.default_rng(0).integers(0, 256, IMAGE, dtype=np.uint8)
    timed("image", lambda: predictor.set_image(image), choices.device)
    click = VisualPriorCondition.from_points([[300, 400], [500, 600]], IMAGE[:2])
    categories = CategoryCondition(tuple(f"name {i}" for i in range(choices.classes)))
    timed("regions", lambda: predictor.predict(click), choices.device)
    timed("sentence", lambda: predictor.predict(SentenceCondition("the tall one on the left")), choices.device)
    timed("categories", lambda: predictor.predict(categories), choices.device)
    if choices.size == "full" and choices.device == "cpu" and peak() > LIMITS[dtype]:
        print(f"The peak of {peak():.2f} GiB is above the limit of {LIMITS[dtype]:g} GiB.")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
