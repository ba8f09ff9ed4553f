"""Learn from frame pairs which draft shows an object of the frame before, and print the weights.

    python benchmarks/following.py --pack data/trainpack

Clips are those of DAVIS 2016 in the pack and generated ones. In each frame the objects of the frame before are looked
for, as `psalm.video` does it but with the true masks as memory, and every draft is compared with them. The weights of
the comparison make the drafts that overlap the object best the likeliest, and the logit an estimate of that overlap.
Each clip is also judged by weights that were fitted without it: the IoU of the chosen draft, by these weights and by
those in use, beside the best draft's. `psalm.appearance` holds what was found.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tiling import davis_clips, moving
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from psalm.appearance import comparisons, describe, sameness
from psalm.predictor import PSALMPredictor
from psalm.video.followers import _NEAR, DraftFollower

GENERATED = 0.3  # what a pair of a generated clip counts beside one of a real clip
TYPICAL = 0.7  # the overlap with its last place that an object is granted when its score is told
Pair = tuple[Tensor, Tensor, Tensor]  # comparisons (Q, 12), IoU with the truth (Q,), logits in use (Q,)


def pairs(follower: DraftFollower, frames: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Iterator[Pair]:
    """Every object in every frame after its first."""
    for frame, label in zip(frames, labels, strict=True):
        follower.open(frame)
        image, known = follower._open, list(follower._memory)
        if known:
            with torch.inference_mode():
                logits, quality = follower._drafts(image, known)
                drafts = logits > 0
                found = describe(image.features, drafts, image.scale(drafts.shape[-1]))
            for i in known:
                memory = follower._memory[i]
                near = follower._near(image, memory, drafts)
                told = [*comparisons(memory.first, found), *comparisons(memory.last, found)]
                used = sameness(memory.first, memory.last, found, quality) + _NEAR * near
                overlap = _overlap(drafts, image.masks((label == i)[None])[0])
                yield torch.stack([*(each[0] for each in told), quality, near], dim=1), overlap, used
        here = {int(i): label == i for i in np.unique(label) if i}
        if here:
            follower.remember(here)
        gone = {i: np.zeros((1, 1), dtype=bool) for i in known if i not in here}
        follower.locate(here | gone)


def _overlap(drafts: Tensor, truth: Tensor) -> Tensor:
    truth = F.adaptive_avg_pool2d(truth[None].float(), drafts.shape[-1])[0] > 0.5
    either = (drafts | truth).flatten(1).sum(1).clamp(min=1)
    return (drafts & truth).flatten(1).sum(1) / either


def fit(found: Sequence[tuple[Pair, float]], steps: int = 800) -> tuple[Tensor, float]:
    """Weights (12,) and bias, from pairs that count as much as the number beside each says."""
    told, overlap, there = (
        pad_sequence(list(each), batch_first=True) for each in zip(*map(_columns, found), strict=True)
    )
    share = torch.tensor([weight for _, weight in found])
    mean, deviation = told[there].mean(0), told[there].std(0)
    told = (told - mean) / deviation
    # The best drafts are chosen, where there is one; logits say how well a draft overlaps the object.
    good = (20 * overlap).masked_fill(~there, -torch.inf).softmax(1) * (overlap.amax(1, keepdim=True) > 0.3)
    certain = (0.2 + overlap) * there / there.sum(1, keepdim=True)
    weights, bias = torch.zeros(told.shape[2], requires_grad=True), torch.zeros((), requires_grad=True)
    optimiser = torch.optim.Adam([weights, bias], lr=0.05)
    for _ in range(steps):
        logits = told @ weights
        choice = logits.masked_fill(~there, -1e4).log_softmax(1)
        judged = F.binary_cross_entropy_with_logits(logits + bias, overlap, weight=certain, reduction="none").sum(1)
        loss = ((0.5 * judged - (good * choice).sum(1)) * share).sum() / share.sum()
        optimiser.zero_grad()
        (loss + 0.0005 * weights.square().sum()).backward()
        optimiser.step()
    plain = (weights / deviation).detach()
    return plain, float(bias.detach() - (plain * mean).sum())


def _columns(pair: tuple[Pair, float]) -> tuple[Tensor, Tensor, Tensor]:
    (told, overlap, _), _ = pair
    return told, overlap, torch.ones_like(overlap, dtype=torch.bool)


def chosen(found: Sequence[Pair], score: Callable[[Pair], Tensor]) -> float:
    """Mean IoU of the drafts with the highest score."""
    return float(np.mean([float(pair[1][score(pair).argmax()]) for pair in found]))


def main() -> None:
    """Collect, judge clip by clip, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="psalm-tiny")
    parser.add_argument("--pack", type=Path, default=Path("data/trainpack"))
    parser.add_argument("--generated", type=int, default=8)
    options = parser.parse_args()
    predictor = PSALMPredictor.from_pretrained(options.model)
    clips = {name: (frames, labels) for name, frames, labels in davis_clips(options.pack)}
    clips |= {f"generated {seed}": moving(seed, 6) for seed in range(100, 100 + options.generated)}
    found = {name: list(pairs(DraftFollower(predictor), *clip)) for name, clip in clips.items()}
    found = {name: rows for name, rows in found.items() if rows}
    print(f"{'clip':28s} without it  in use  best draft")
    counts = {name: GENERATED if name.startswith("generated") else 1.0 for name in found}
    rows = []
    for name, mine in found.items():
        weights, _ = fit([(pair, counts[other]) for other, each in found.items() if other != name for pair in each])
        ways: tuple[Callable[[Pair], Tensor], ...] = (lambda p, w=weights: p[0] @ w, lambda p: p[2], lambda p: p[1])  # type: ignore[misc]
        rows.append([chosen(mine, way) for way in ways])
        print(f"{name:28s} {rows[-1][0]:10.3f} {rows[-1][1]:7.3f} {rows[-1][2]:11.3f}", flush=True)
    print(f"{'mean':28s} {np.mean(rows, axis=0).round(3)}")
    weights, bias = fit([(pair, counts[name]) for name, each in found.items() for pair in each])
    values = [round(float(weight), 1) for weight in weights]
    print(f"first {values[:5]}, last {values[5:10]}, quality {values[10]}, near {values[11]}")
    print(f"bias {bias + TYPICAL * values[11]:.1f}, with a place overlapped by {TYPICAL}")


if __name__ == "__main__":
    main()
