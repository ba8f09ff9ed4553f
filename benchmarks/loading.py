"""Time and memory from the start of a process to a model that is ready.

python benchmarks/loading.py                          # psalm-tiny
python benchmarks/loading.py --full-size FOLDER       # writes 3.2 GB of random weights there first
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from machine import build, keep

from psalm.config import PSALMConfig

PROGRAM = """
import json, time
start = time.perf_counter()
import psalm.checkpoint
from psalm.predictor import PSALMPredictor

def held():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024

libraries = held()
predictor = PSALMPredictor.from_pretrained({model!r}, device="cpu", precision={precision!r})
tensors = [*predictor.model.parameters(), *predictor.model.buffers()]
seconds, cpu = time.perf_counter() - start, time.process_time()
sizes = dict(libraries=libraries, added=held() - libraries, weights=sum(t.nbytes for t in tensors))
print(json.dumps(dict(seconds=seconds, cpu=cpu, **sizes)))
"""


def main() -> None:
    """Measure in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full-size", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path)
    choices = parser.parse_args()
    model, precision = "psalm-tiny", "float32"
    if choices.full_size:
        model, precision = str(write_full_size(choices.full_size)), "bfloat16"
    run(model, precision)  # so that the file is in the system's cache, as on any second start
    start = time.perf_counter()
    found = run(model, precision)
    figures = {
        "import and load, s": found["seconds"],
        "import and load, s of processor": found["cpu"],
        "whole process, s": time.perf_counter() - start,
        "libraries, GB": found["libraries"] / 1e9,
        "weights, GB": found["weights"] / 1e9,
        "peak beyond the libraries / weights": found["added"] / found["weights"],
    }
    keep(f"loading {'full-size' if choices.full_size else 'psalm-tiny'} {precision}", figures, choices.json)


def run(model: str, precision: str) -> dict[str, Any]:
    """What a fresh interpreter reports."""
    program = PROGRAM.format(model=model, precision=precision)
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def write_full_size(folder: Path) -> Path:
    """A model folder of the published size with random weights in bfloat16; kept for the next time."""
    if (folder / "config.json").exists():
        return folder
    from psalm.checkpoint import load_model, save_model

    save_model(folder, build(PSALMConfig(), torch.bfloat16), load_model("psalm-tiny", device="cpu").tokenizer)
    return folder


if __name__ == "__main__":
    main()
