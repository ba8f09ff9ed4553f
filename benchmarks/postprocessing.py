"""Time and memory of turning 100 proposals into masks of a large image.

python benchmarks/postprocessing.py                       # 3000 x 4000 pixels
python benchmarks/postprocessing.py --size 9000 12000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from machine import best, keep, matmul_rate, peak
from torch import Tensor

from psalm.conditions import CategoryCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds, decode
from psalm.image_transform import ImageTransform
from psalm.proposals import MaskProposals

QUERIES, SIDE = 100, 256


def main() -> None:
    """Measure objects of all sizes, then masks that fill the image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=[3000, 4000], metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--worst", action="store_true", help="every mask fills the image")
    parser.add_argument("--json", type=Path)
    choices = parser.parse_args()
    rows, columns = choices.size
    masks = full_masks() if choices.worst else blobs()
    logits = torch.tensor([8.0, -8.0]).expand(QUERIES, 2)
    frame = ImageTransform(PSALMConfig()).frame((rows, columns))
    proposals, condition = MaskProposals(masks[None], logits[None], (2,)), CategoryCondition(["cell"])
    decode(proposals, "instance", [condition], [ImageTransform(PSALMConfig()).frame((300, 400))], Thresholds())
    rate, before = matmul_rate(torch.float32), peak()
    found = decode(proposals, "instance", [condition], [frame], Thresholds(score=0))[0]
    kept, share = len(found), f"{float(found.masks[0].mean()):.2f}"
    del found
    # The first run also waits for the machine to hand out memory, which some virtual machines do at 0.2 GB/s.
    seconds = best(lambda: decode(proposals, "instance", [condition], [frame], Thresholds(score=0)), 2)
    figures = {
        "objects kept": kept,
        "share of the image of the first": share,
        "seconds": seconds,
        "memory added, GB": peak() - before,
        "float32 GFLOP/s": rate,
    }
    keep(f"post-processing {rows} x {columns}{' full masks' if choices.worst else ''}", figures, choices.json)


def blobs() -> Tensor:
    """Logits (100, 256, 256) of discs from a few pixels to a third of the image."""
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(QUERIES, 2, 1, 1, generator=generator) * torch.tensor([0.7, 0.95]).view(2, 1, 1) * SIDE
    radius = torch.logspace(0.3, 1.9, QUERIES).view(-1, 1, 1)
    grid = torch.arange(SIDE, dtype=torch.float32)
    distance = ((grid[:, None] - places[:, 0]) ** 2 + (grid - places[:, 1]) ** 2).sqrt()
    return (radius - distance).clamp(-8, 8)


def full_masks() -> Tensor:
    """Logits whose masks reach every border of the image, with holes."""
    return torch.randn(QUERIES, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) + 0.5


if __name__ == "__main__":
    main()
