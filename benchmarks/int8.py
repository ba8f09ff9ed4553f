"""What the language model in 8 bits gains, and what it does to the masks.

python benchmarks/int8.py                     # psalm-tiny on the images of the demo
python benchmarks/int8.py --full-size         # random weights in float32, 8 GB of memory
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Letters, best, build, keep, matmul_rate

from psalm.conditions import CategoryCondition, Condition, SentenceCondition, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.demo.images import sample_path
from psalm.images import read_image
from psalm.predictor import PSALMPredictor
from psalm.proposals import MaskProposals
from psalm.quantisation import quantise_linears

IMAGES = ("coins", "astronaut", "camera", "coffee", "rocket")


def main() -> None:
    """Ask before and after, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full-size", action="store_true")
    parser.add_argument("--json", type=Path)
    choices = parser.parse_args()
    images = [np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)]
    tokenizer: Any = Letters()
    if choices.full_size:
        predictor = PSALMPredictor(build(PSALMConfig(), torch.float32), tokenizer)
    else:
        predictor, images = (
            PSALMPredictor.from_pretrained("psalm-tiny", device="cpu"),
            [read_image(sample_path(name)) for name in IMAGES],
        )
    figures: dict[str, Any] = {"float32 GFLOP/s": matmul_rate(torch.float32)}
    before, figures["float32, s per prompt"] = ask(predictor, images)
    bytes_before = weights(predictor)
    quantise_linears(predictor.model.language_model.model.layers)
    predictor = PSALMPredictor(predictor.model, predictor._prompts._tokenizer)
    after, figures["int8, s per prompt"] = ask(predictor, images)
    figures |= {"float32, GB": bytes_before / 1e9, "int8, GB": weights(predictor) / 1e9} | compare(before, after)
    keep(f"int8 {'full-size' if choices.full_size else 'psalm-tiny'}", figures, choices.json)


def ask(predictor: PSALMPredictor, images: list[Any]) -> tuple[list[MaskProposals], float]:
    """The proposals of every image for three kinds of question, and the mean time of a further prompt."""
    found, seconds = [], []
    for image in images:
        predictor.set_image(image)
        for condition in questions(image.shape[:2]):
            found.append(predictor.predict_proposals(condition))
            seconds.append(best(lambda asked=condition: predictor.predict_proposals(asked)))
    return found, sum(seconds) / len(seconds)


def questions(shape: tuple[int, int]) -> list[Condition]:
    """A class list, a sentence, and a click in the middle."""
    middle = [(shape[0] // 2, shape[1] // 2)]
    names = CategoryCondition(["cell", "coin", "person"])
    return [names, SentenceCondition("the biggest one"), VisualPriorCondition.from_points(middle, shape)]


def compare(before: list[MaskProposals], after: list[MaskProposals]) -> dict[str, float]:
    """IoU of each proposal with itself, of the best proposal with the best, and how far scores move."""
    ious, chosen, moved = [], [], []
    for one, other in zip(before, after, strict=True):
        mine, theirs = (found.mask_logits[0] > 0 for found in (one, other))
        ious.append(_iou(mine, theirs))
        scores, others = (found.condition_logits[0].float().softmax(-1)[:, 0] for found in (one, other))
        if one.condition_logits.shape[-1] == 1:
            scores, others = (found.condition_logits[0, :, 0].float().sigmoid() for found in (one, other))
        chosen.append(_iou(mine[scores.argmax()][None], theirs[others.argmax()][None]))
        moved.append((scores - others).abs())
    return {
        "IoU of proposals, mean": float(torch.cat(ious).mean()),
        "IoU of the best proposal, mean": float(torch.cat(chosen).mean()),
        "change of score, mean": float(torch.cat(moved).mean()),
        "change of score, most": float(torch.cat(moved).max()),
    }


def _iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    union = (one | other).sum((1, 2))
    return torch.where(union > 0, (one & other).sum((1, 2)) / union.clamp(min=1), 1.0)


def weights(predictor: PSALMPredictor) -> int:
    """Bytes of all weights."""
    return sum(tensor.nbytes for tensor in (*predictor.model.parameters(), *predictor.model.buffers()))


if __name__ == "__main__":
    main()
