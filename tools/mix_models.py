"""Mix some weights of two models of one architecture: often better than either where both came from the same weights.

    python tools/mix_models.py runs/old runs/new --share 0.3 --only mask_generator.decoder --out runs/mixed

A share of 0 gives the weights of the first model, 1 those of the second; what `--only` does not name is the first's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from psalm.checkpoint import load_model, read_weights, save_model
from psalm.errors import ConfigError, OutputError
from psalm.training.frozen import matches


def main() -> None:
    """Read both, mix, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first")
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, required=True, help="how much the second counts, 0 to 1")
    parser.add_argument("--only", nargs="+", default=["*"], help="modules or patterns of names")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise OutputError(f"{arguments.out} exists: choose another folder.")
    loaded = load_model(arguments.first, device="cpu")
    weights, second = dict(loaded.model.state_dict()), read_weights(arguments.second, torch.float32)
    for pattern in arguments.only:
        if not any(matches(name, pattern) for name in weights):
            raise ConfigError(
                f"No weight of {arguments.first} is named {pattern!r}: give a module, as in the example above."
            )
    for name in weights:
        if weights[name].is_floating_point() and any(matches(name, pattern) for pattern in arguments.only):
            if name not in second or second[name].shape != weights[name].shape:
                raise ConfigError(f"{arguments.second} has no {name} of that shape: mix models of one architecture.")
            weights[name] = torch.lerp(weights[name], second[name], arguments.share)
    loaded.model.load_state_dict(weights)
    save_model(arguments.out, loaded.model, loaded.tokenizer, loaded.info, dtype=torch.float16)


if __name__ == "__main__":
    main()
