"""What a folder costs beside the model: speed, memory, batches, processes.

    python benchmarks/prelabel.py speed --images 40            # prelabel against the bare model, same images
    python benchmarks/prelabel.py memory --images 100 5000     # peak memory, each number in a process of its own
    python benchmarks/prelabel.py workers --counts 1 2         # images per second of one and of two processes
    python benchmarks/prelabel.py batches --sizes 1 2 4 8      # images per second of the bare model per batch size
    python benchmarks/prelabel.py store --images 100 5000      # reading, writing and bookkeeping alone, without a model

`memory` uses a tiny model with random weights and small images, so that thousands take minutes; the others the model
of --model. `speed` exits with 1 when more than a tenth of the bare model's speed is lost, `memory` when the peaks
differ by more than a tenth. Ratios compare rounds that alternate in one run; the rate of a matrix product says what
machine this is.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition
from psalm.config import PSALMConfig
from psalm.demo.images import sample_path
from psalm.images import read_image, to_rgb8
from psalm.prelabel import label_folder, prelabel
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.pipeline import HereEngine
from psalm.prelabel.processes import ProcessEngine
from psalm.prelabel.questions import folder_prompts
from psalm.prelabel.records import ModelChoice
from psalm.prelabel.worker import load_one_of

COINS = CategoryCondition(["coin"])
MOST_LOST = MOST_GROWTH = 0.1


def make_images(folder: Path, number: int, side: int | None = None) -> Path:
    """Photographs of coins, each moved a little; `side` makes them small."""
    folder.mkdir()
    coins = Image.fromarray(to_rgb8(read_image(sample_path("coins"))))
    pixels = np.asarray(coins if side is None else coins.resize((side, side)))
    for i in range(number):
        Image.fromarray(np.roll(pixels, 3 * i, axis=1)).save(folder / f"{i:05}.jpg", quality=90)
    return folder


class Letters:
    """Stands for a tokenizer: a token for every four letters."""

    def get_vocab(self) -> dict[str, int]:
        """The one token that prompts ask for by name."""
        return {"[SEG]": 1}

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Ids within any vocabulary."""
        return [2 + sum(map(ord, text[i : i + 4])) % 300 for i in range(0, len(text), 4)]


def random_predictor() -> Any:
    """The published architecture, tiny, with random weights."""
    import torch

    from psalm.modeling.psalm import PSALM
    from psalm.predictor import PSALMPredictor

    torch.manual_seed(0)
    tokenizer: Any = Letters()
    config = PSALMConfig.small(image_size=96, decoder_layers=2, pixel_decoder_layers=1, num_mask_tokens=5)
    return PSALMPredictor(PSALM(config), tokenizer)


@dataclass(frozen=True)
class Limits:
    """Of decoding."""

    score: float = 0.5


class NoModel:
    """Answers at once, to measure what is left without a model."""

    device, weights_hash = "cpu", "0"
    config = SimpleNamespace(name="none", image_size=32)
    thresholds = Limits()

    def prepare(self, image: Any) -> Any:
        """Nothing but 8-bit RGB."""
        pixels = to_rgb8(image)
        return SimpleNamespace(frame=SimpleNamespace(original=pixels.shape[:2]), pixels=pixels)

    def predict_each(self, images: Any, conditions: Any, score_threshold: Any = None) -> Any:
        """A square in every image."""
        answers = []
        for image in images:
            masks = np.zeros((1, *image.frame.original), dtype=bool)
            masks[0, 4:20, 4:20] = True
            answers.append([Annotations(masks, np.ones(1), np.full(1, 0.9), (Category(1, "coin"),))])
        return answers


def matmul_rate() -> float:
    """Thousand million multiplications and additions per second, of two 1024 x 1024 float32 matrices."""
    import torch

    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 1024**3 / min(times) / 1e9


def speed(choices: argparse.Namespace) -> int:
    """Prelabel against the bare model."""
    from psalm.predictor import PSALMPredictor

    predictor = PSALMPredictor.from_pretrained(choices.model)
    print(f"{choices.model} on {predictor.device}, matrix product {matmul_rate():.0f} G/s")
    with tempfile.TemporaryDirectory() as name:
        folder = make_images(Path(name) / "images", choices.images)
        prepared = [predictor.prepare(read_image(path)) for path in sorted(folder.iterdir())]
        predictor.predict_each(prepared[:1], [COINS])
        ratios = []
        for turn in range(choices.rounds):
            start = time.perf_counter()
            for image in prepared:
                predictor.predict_each([image], [COINS])
            bare = choices.images / (time.perf_counter() - start)
            start = time.perf_counter()
            report = prelabel(folder, Path(name) / f"out{turn}", [COINS], predictor, batch_size=1)
            ours = report.images / (time.perf_counter() - start)
            ratios.append(ours / bare)
            print(f"bare model {bare:6.2f} images/s, prelabel {ours:6.2f} images/s, ratio {ours / bare:.3f}")
    lost = 1 - statistics.median(ratios)
    print(f"overhead {lost:.1%} (median; at most {MOST_LOST:.0%})")
    return int(lost > MOST_LOST)


def memory(choices: argparse.Namespace) -> int:
    """Peak memory for several numbers of images."""
    peaks = []
    for number in choices.images:
        command = [sys.executable, __file__, "one", "--images", str(number)]
        peak, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        peaks.append(float(peak))
        print(f"{number:6} images: peak {peaks[-1]:7.1f} MiB, {float(seconds):6.1f} s", flush=True)
    growth = max(peaks) / min(peaks) - 1
    print(f"difference {growth:.1%} (at most {MOST_GROWTH:.0%})")
    return int(growth > MOST_GROWTH)


def one(choices: argparse.Namespace) -> int:
    """Label so many small images and print the peak of memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = make_images(Path(name) / "images", choices.images[0], side=96)
        start = time.perf_counter()
        prelabel(folder, Path(name) / "out", [COINS], random_predictor(), score_threshold=0.3)
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        print(peak, time.perf_counter() - start)
    return 0


class Times:
    """When each image was answered."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, done: int, total: int, name: str) -> None:
        """Called as progress."""
        self.times.append(time.perf_counter())


def workers(choices: argparse.Namespace) -> int:
    """Images per second of several numbers of processes; loading the model is not counted."""
    print(f"matrix product {matmul_rate():.0f} G/s")
    with tempfile.TemporaryDirectory() as name:
        folder = make_images(Path(name) / "images", choices.images)
        rates = []
        for count in choices.counts:
            engine = ProcessEngine(partial(load_one_of, ModelChoice(choices.model), folder, count), count)
            answered = Times()
            label_folder(folder, Path(name) / f"out{count}", folder_prompts([COINS]), engine, progress=answered)
            # From the first answer on, by when every process has its model or soon will.
            rates.append((choices.images - 1) / (answered.times[choices.images - 1] - answered.times[0]))
            ratio = rates[-1] / rates[0]
            print(f"{count} processes: {rates[-1]:6.2f} images/s, {ratio:.2f} times the first", flush=True)
    return 0


def batches(choices: argparse.Namespace) -> int:
    """Images per second of the bare model for several batch sizes."""
    from psalm.predictor import PSALMPredictor

    predictor = PSALMPredictor.from_pretrained(choices.model)
    print(f"{choices.model} on {predictor.device}, matrix product {matmul_rate():.0f} G/s")
    image = predictor.prepare(read_image(sample_path("coins")))
    rates: dict[int, list[float]] = {size: [] for size in choices.sizes}
    for _ in range(choices.rounds + 1):
        for size in choices.sizes:
            start = time.perf_counter()
            predictor.predict_each([image] * size, [COINS])
            rates[size].append(size / (time.perf_counter() - start))
    first = statistics.median(rates[choices.sizes[0]][1:])
    for size, found in rates.items():
        rate = statistics.median(found[1:])
        print(f"{size:3} per pass: {rate:6.2f} images/s, {rate / first:.2f} times the first")
    return 0


def store(choices: argparse.Namespace) -> int:
    """Time per image of all but the model, and how it grows."""
    times = []
    for number in choices.images:
        with tempfile.TemporaryDirectory() as name:
            folder = make_images(Path(name) / "images", number, side=96)
            predictor: Any = NoModel()
            start = time.perf_counter()
            engine = HereEngine(Labeller(predictor, folder, 0.5))
            label_folder(folder, Path(name) / "out", folder_prompts([COINS]), engine, score_threshold=0.5)
            times.append(1000 * (time.perf_counter() - start) / number)
            print(f"{number:6} images: {times[-1]:6.2f} ms per image", flush=True)
    print(f"growth {times[-1] / times[0]:.2f} (1 is linear)")
    return 0


def main() -> int:
    """Run a part of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    many = [100, 5000]
    for run, images in ((speed, 40), (memory, many), (one, many[:1]), (workers, 24), (batches, 0), (store, many)):
        part = parts.add_parser(run.__name__, help=run.__doc__)
        part.set_defaults(run=run)
        if isinstance(images, list):
            part.add_argument("--images", type=int, nargs="+", default=images)
        else:
            part.add_argument("--images", type=int, default=images)
            part.add_argument("--model", default="psalm-tiny")
            part.add_argument("--rounds", type=int, default=3)
        part.add_argument("--counts", type=int, nargs="+", default=[1, 2])
        part.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8])
    choices = parser.parse_args()
    return int(choices.run(choices))


if __name__ == "__main__":
    raise SystemExit(main())
