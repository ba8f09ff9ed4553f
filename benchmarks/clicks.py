"""Time of a first mask, of a further prompt and of class lists, beside a forward pass that keeps nothing.

    python benchmarks/clicks.py --dtype bfloat16 --json docs/performance.json
    python benchmarks/clicks.py --model psalm-tiny

Weights of the full-size model are random. Every figure comes with the machine's own rate of matrix products in the same
run, so that numbers from different days can be compared.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Letters, best, build, keep, matmul_rate, official_seconds, peak
from torch.nn.functional import interpolate
from torch.utils.flop_counter import FlopCounterMode

from psalm.conditions import CategoryCondition, Condition, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.predictor import PSALMPredictor

SIDE = 1024


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["full-size", "small", "psalm-tiny"], default="full-size")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--lists", type=int, nargs="*", default=[80, 200, 1000], help="lengths of class lists")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file of results, say docs/performance.json")
    choices = parser.parse_args()
    predictor = open_predictor(choices.model, getattr(torch, choices.dtype))
    predictor.model.requires_grad_(False)  # torch's counter of products stumbles over gradients that cannot be had
    figures = measure(predictor, choices.repeats, choices.lists)
    if choices.model == "full-size":
        figures |= against_official(figures)
    keep(f"{choices.model} {choices.dtype}", figures, choices.json)


def open_predictor(name: str, dtype: torch.dtype) -> PSALMPredictor:
    """The shipped model, or one of the published architecture with random weights."""
    if name == "psalm-tiny":
        precision: Any = str(dtype).removeprefix("torch.")
        return PSALMPredictor.from_pretrained(name, device="cpu", precision=precision)
    config = PSALMConfig() if name == "full-size" else PSALMConfig.small(max_length=2048)
    tokenizer: Any = Letters()
    return PSALMPredictor(build(config, dtype), tokenizer)


def measure(predictor: PSALMPredictor, repeats: int, lists: list[int]) -> dict[str, Any]:
    """Seconds of everything that is claimed, and the rates of this machine."""
    images = np.random.default_rng(0).integers(0, 256, (2 * repeats + 1, SIDE, SIDE, 3), dtype=np.uint8)
    one, ten = (
        VisualPriorCondition.from_points([(300 + 40 * i, 400) for i in range(n)], (SIDE, SIDE)) for n in (1, 10)
    )
    figures: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "float32 GFLOP/s": matmul_rate(torch.float32),
        "bfloat16 GFLOP/s": matmul_rate(torch.bfloat16),
    }
    predictor.set_image(images[0])  # whatever is done once in a process
    predictor.predict(one)
    pictures = iter(images[1:])

    def first_answer(condition: Condition) -> None:
        predictor.set_image(next(pictures))
        predictor.predict(condition)

    figures["first mask, s"] = best(lambda: first_answer(one), repeats)
    figures["first class list, s"] = best(lambda: first_answer(CategoryCondition(("warm",))), repeats)
    predictor.predict(one)  # of this image, too, a further prompt is one that follows another
    figures["further prompt, s"] = best(lambda: predictor.predict(one), repeats)
    figures["ten regions in one prompt, s"] = best(lambda: predictor.predict(ten), repeats)
    figures["further prompt, GFLOP"] = arithmetic(predictor, one)
    figures["naive forward, s"] = best(lambda: naive_forward(predictor, images[0], one))
    figures["naive forward, GFLOP"] = counted(lambda: naive_forward(predictor, images[0], one))
    for count in lists:
        names = CategoryCondition(tuple(f"name {i}" for i in range(count)))
        predictor.predict_proposals(CategoryCondition(("warm",)))
        figures[f"class list of {count} names, s"] = best(lambda names=names: predictor.predict_proposals(names))
    # Again, because a rate that was measured in a slow moment would flatter everything that is scaled by it.
    for name in ("float32", "bfloat16"):
        key = f"{name} GFLOP/s"
        figures[key] = max(figures[key], matmul_rate(getattr(torch, name)))
    dtype = str(next(predictor.model.parameters()).dtype).removeprefix("torch.")
    floor = figures["further prompt, GFLOP"] / figures[f"{dtype} GFLOP/s"]
    return figures | {
        "further prompt / its arithmetic": figures["further prompt, s"] / floor,
        "ten regions / one": figures["ten regions in one prompt, s"] / figures["further prompt, s"],
        "naive forward / first mask": figures["naive forward, s"] / figures["first mask, s"],
        "naive forward / further prompt": figures["naive forward, s"] / figures["further prompt, s"],
        "peak of memory, GB": peak(),
    }


def arithmetic(predictor: PSALMPredictor, condition: Condition) -> float:
    """GFLOP of the matrix products and convolutions of a further prompt."""
    return counted(lambda: predictor.predict_proposals(condition))


def counted(run: Any) -> float:
    """GFLOP that torch counts while something runs."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def naive_forward(predictor: PSALMPredictor, image: Any, condition: VisualPriorCondition) -> Any:
    """What the published code does for every click: all of the model, and every proposal at full size."""
    model, transform, prompts = predictor.model, predictor._transform, predictor._prompts
    with torch.no_grad():
        regions = predictor._regions([condition], [transform.frame(image.shape)])
        pixels = transform.image(image)[None].to(model.query_projector.weight.dtype)
        model.backbone(pixels)  # once for the tokens, once for the masks
        *_, found = model(pixels, [prompts.build("interactive", condition)], regions)
        logits = interpolate(found.mask_logits.float(), size=image.shape[:2], mode="bilinear", align_corners=False)[0]
        masks = (logits > 0).float()
        return masks, (logits.sigmoid() * masks).sum((1, 2)) / (masks.sum((1, 2)) + 1e-6)


def against_official(figures: dict[str, Any]) -> dict[str, Any]:
    """How much faster than the published code, whose time is scaled to this machine's rate."""
    official = official_seconds(figures["float32 GFLOP/s"])
    return {
        "published code on this machine, s": official,
        "published code / first mask": official / figures["first mask, s"],
        "published code / further prompt": official / figures["further prompt, s"],
    }


if __name__ == "__main__":
    main()
