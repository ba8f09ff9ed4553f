"""Teach a small model, on frame pairs, which draft shows an object of the frame before.

    python tools/learn_following.py --pack data/trainpack --model runs/psalm-tiny/model --out runs/psalm-tiny-following

Clips are those of DAVIS 2016 in the pack's training split, and generated ones. In each frame the objects of the frame
before are looked for, as `psalm.video` does it but with the true masks as memory. What is learnt is written beside the
model's other weights, which stay as they are to the last bit; `--out` may be the model's own folder, with
`--overwrite`.

Each clip is also judged by weights that were fitted without it: the mean IoU of the chosen draft, by these weights and
by those that the model had, beside the best draft's.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from rich.console import Console

from psalm.checkpoint import find_model, load_model, read_weights
from psalm.data.clips import Clip, draw_clip, read_clips
from psalm.errors import OutputError
from psalm.files import replacing
from psalm.modeling.older_weights import completed
from psalm.modeling.sameness import Sameness
from psalm.predictor import PSALMPredictor
from psalm.training.following import FramePair, fit_sameness, frame_pairs
from psalm.video.followers import DraftFollower
from psalm.weight_files import write_weights

GENERATED, LENGTH = 0.3, 6  # what a pair of a generated clip counts beside one of a real clip; its frames
FIRST_SEED = 100
_PREFIX = "mask_generator.sameness."


def collect(predictor: PSALMPredictor, real: Sequence[Clip], generated: int) -> dict[str, list[FramePair]]:
    """The frame pairs of each clip that has any."""
    drawn = [draw_clip(seed, LENGTH) for seed in range(FIRST_SEED, FIRST_SEED + generated)]
    shares = [*((clip, 1.0) for clip in real), *((clip, GENERATED) for clip in drawn)]
    found = {clip.name: list(frame_pairs(predictor, clip, share)) for clip, share in shares}
    return {name: pairs for name, pairs in found.items() if pairs}


def judge(found: Mapping[str, Sequence[FramePair]], used: Sameness, console: Console) -> None:
    """Print how well the drafts of each clip are chosen."""
    console.print(f"{'clip':28s} without it  before  best draft", highlight=False)
    rows = []
    for name, pairs in found.items():
        fitted = fit_sameness([pair for other, each in found.items() if other != name for pair in each])
        best = [float(pair.overlap.max()) for pair in pairs]
        each = ([pair.chosen(sameness) for pair in pairs] for sameness in (fitted, used))
        rows.append([float(np.mean(values)) for values in (*each, best)])
        console.print(_row(name, rows[-1]), highlight=False)
    console.print(_row("mean", np.mean(rows, axis=0).tolist()), highlight=False)


def write(model: Path, out: Path, learnt: Sameness) -> None:
    """Write the model folder `out`: `model` with what was learnt, in the precision of its other weights."""
    state = completed(read_weights(model), load_model(model, device="cpu").model)
    for name, parameter in learnt.named_parameters():
        state[_PREFIX + name] = parameter.detach().to(state[_PREFIX + name])
    for source in model.glob("*.json"):
        if out.resolve() != model.resolve() and not source.name.endswith(".index.json"):
            with replacing(out / source.name) as path:
                path.write_bytes(source.read_bytes())
    write_weights(out, state)


def check_output(out: Path, overwrite: bool) -> None:
    """Refuse a folder with a model, unless it may be overwritten.

    Raises
    ------
    OutputError
        When it may not.
    """
    if not overwrite and any(out.glob("*.safetensors")):
        raise OutputError(f"The folder {out} holds a model already: choose another, or give --overwrite.")


def _row(name: str, values: Sequence[float]) -> str:
    return f"{name:28s} {values[0]:10.3f} {values[1]:7.3f} {values[2]:11.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Collect, judge clip by clip, fit to all, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="psalm-tiny", help="name or folder")
    parser.add_argument("--pack", type=Path, default=Path("data/trainpack"), help="folder with the real clips")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--generated", type=int, default=8, help="clips to draw")
    parser.add_argument("--overwrite", action="store_true", help="replace a model in --out")
    options = parser.parse_args(arguments)
    check_output(options.out, options.overwrite)
    predictor, console = PSALMPredictor.from_pretrained(options.model), Console()
    found = collect(predictor, list(read_clips(options.pack, split="train")), options.generated)
    if len(found) > 1:
        judge(found, DraftFollower(predictor).sameness, console)
    learnt = fit_sameness(list(chain.from_iterable(found.values())))
    write(find_model(options.model), options.out, learnt)
    console.print(f"Written to {options.out}.")


if __name__ == "__main__":
    main()
