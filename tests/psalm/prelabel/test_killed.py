"""A run that is killed, wherever it is, and goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from psalm.conditions import CategoryCondition
from psalm.prelabel import prelabel
from psalm.prelabel.dataset import read_runs
from psalm.store import AnnotationStore, ImageState
from tests.psalm.prelabel.fakes import FakePredictor, make_images

ROOT = Path(__file__).resolve().parents[3]
NUMBER = 60
PROGRAM = """
import signal
import sys
from psalm.conditions import CategoryCondition
from psalm.prelabel import prelabel
from psalm.prelabel import writing
from tests.psalm.prelabel.fakes import FakePredictor
writing._FLUSH_SECONDS = 0.05
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
predictor = FakePredictor(seconds=float(sys.argv[3]))
try:
    report = prelabel(sys.argv[1], sys.argv[2], [CategoryCondition(["cell", "coin"])], predictor)
    print("labelled", report.images)
except KeyboardInterrupt:
    print("interrupted")
"""


def start(folder: Path, out: Path, seconds: float = 0.1) -> subprocess.Popen[str]:
    """A run that takes so many seconds for an image: on a busy machine it may be long before it is stopped."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(out), str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def done(out: Path) -> int:
    if not AnnotationStore.exists(out):
        return 0
    with AnnotationStore.open(out, read_only=True) as store:
        return store.counts()[ImageState.PREDICTED]


def wait_for(out: Path, number: int, process: subprocess.Popen[str]) -> None:
    while done(out) < number and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_result_is_that_of_a_run_that_nobody_stopped(tmp_path, content, how):
    folder, out = make_images(tmp_path / "images", NUMBER), tmp_path / "out"
    prelabel(folder, tmp_path / "whole", [CategoryCondition(["cell", "coin"])], FakePredictor())
    chance = random.Random(3)
    reached = [0]
    for wanted in (1, 20, 40):
        process = start(folder, out)
        wait_for(out, wanted, process)
        time.sleep(chance.random() / 20)
        process.send_signal(how)
        assert process.wait(30) == (0 if how == signal.SIGINT else -signal.SIGKILL)
        reached.append(done(out))
    assert reached == sorted(reached) and 0 < reached[-1] < NUMBER
    last = start(folder, out, seconds=0)
    printed, _ = last.communicate(timeout=60)
    assert printed.strip() == f"labelled {NUMBER - reached[-1]}"  # none twice, none lost
    assert content(out) == content(tmp_path / "whole")
    with AnnotationStore.open(out, read_only=True) as store:
        changes = [change.image_id for change in store.history() if change.action == "batch"]
        (run,) = read_runs(store)
    assert len(changes) == len(set(changes)) == run.images == NUMBER
    assert run.is_finished
    assert (out / "coco.json").read_bytes() == (tmp_path / "whole" / "coco.json").read_bytes()
