"""Images per second of the trainer, beside those of the model's own forward pass on the same batches.

    python benchmarks/training.py                                     # the published architecture at a test's size
    python benchmarks/training.py --model psalm-tiny --json docs/performance.json
    python benchmarks/training.py --model full-size --precision bf16 --batch-size 4

The trainer draws scenes, reads and transforms them, computes losses and gradients, and changes the weights. The forward
pass only asks the model, without gradients, about batches that lie ready. A training step has two to three times the
arithmetic of a forward pass; what the ratio is above that is the price of the loss, the matching and the data.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from machine import keep, matmul_rate

from psalm.checkpoint import default_device
from psalm.config import PSALMConfig
from psalm.model_folders import find_model
from psalm.training import TrainConfig, train
from psalm.training.collate import Collator
from psalm.training.sources import build_model, open_mixtures
from psalm.training.stream import StageBatches

WARM = 3  # steps, one of each task, that are not counted
TASKS = {"panoptic": 1, "referring": 1, "interactive": 1}


def main() -> None:
    """Measure both, print them and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["small", "psalm-tiny", "full-size"], default="small")
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12, help="that are counted")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare data")
    parser.add_argument("--checkpointing", action="store_true", help="of the language model's layers, to save memory")
    parser.add_argument("--json", type=Path, help="file of results, say docs/performance.json")
    choices = parser.parse_args()
    with TemporaryDirectory() as folder:
        config = make_config(choices, folder)
        trained, asked = trainer_rate(config), forward_rate(config)
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "float32 GFLOP/s of the processor": matmul_rate(torch.float32),
        "images in a batch": choices.batch_size,
        "trainer, images/s": trained,
        "forward, images/s": asked,
        "forward / trainer": asked / trained,
    }
    keep(f"training {choices.model} {choices.precision}", figures, choices.json)


def make_config(choices: argparse.Namespace, output: str) -> TrainConfig:
    """Steps of one task each, on generated scenes; everything but the backbone learns."""
    shipped = find_model("psalm-tiny")
    small = PSALMConfig.small(vocab_size=2048, max_length=2048).to_dict()
    model: dict[str, Any] = {"tokenizer": str(shipped / "tokenizer.json")}
    model |= {"small": {"config": small}, "psalm-tiny": {"init": str(shipped)}, "full-size": {}}[choices.model]
    stage = {
        "name": "joint", "steps": WARM + choices.steps, "batch_size": choices.batch_size, "tasks": TASKS,
        "one_task": True, "freeze": ["backbone"], "checkpointing": choices.checkpointing,
    }  # fmt: skip
    return TrainConfig.from_dict(
        {
            "output": output, "model": model, "data": [{"kind": "scenes", "options": {"count": 300}}],
            "stages": [stage], "precision": choices.precision, "workers": choices.workers, "log_every": 1,
        }
    )  # fmt: skip


def trainer_rate(config: TrainConfig) -> float:
    """Images per second of a run of the trainer, by its own log."""
    folder = train(config, resume=False, progress=False).folder
    seconds = [json.loads(line)["seconds"] for line in (folder / "log.jsonl").read_text().splitlines()]
    return config.stages[0].batch_size * (len(seconds) - WARM) / (seconds[-1] - seconds[WARM - 1])


def forward_rate(config: TrainConfig) -> float:
    """Images per second of the model alone, on batches of the same kinds."""
    stage, device = config.stages[0], default_device()
    model, tokenizer = build_model(config.model)
    model.to(device).eval()
    mixtures = open_mixtures(config.data, stage.micro_batches, config.temper)
    batches = StageBatches(mixtures, Collator(tokenizer, model.config), stage, config.seed)
    ready = [batches[number].to(device) for number in range(len(TASKS))]
    half = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
    begun = 0.0
    with torch.no_grad(), half:
        for number, batch in enumerate(islice(cycle(ready), stage.steps)):
            if number == WARM:
                wait()
                begun = time.perf_counter()
            model(batch.images, batch.prompts, batch.regions)
    wait()
    return stage.batch_size * (stage.steps - WARM) / (time.perf_counter() - begun)


def wait() -> None:
    """Until a GPU, where there is one, has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
