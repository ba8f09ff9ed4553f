from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from psalm.conditions import CategoryCondition
from psalm.errors import WorkerError
from psalm.prelabel import label_folder, prelabel
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.processes import ProcessEngine
from psalm.prelabel.questions import folder_prompts
from tests.psalm.prelabel.fakes import POISON, FakePredictor, load_fake, make_images

CELLS = CategoryCondition(["cell", "coin"])
PROMPTS = folder_prompts([CELLS])


def no_model(position: int) -> Labeller:
    raise WorkerError("there is no model")


def dies(position: int) -> Labeller:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_two_processes_find_what_one_finds(tmp_path, content):
    folder = make_images(tmp_path / "images", 12)
    prelabel(folder, tmp_path / "one", [CELLS], FakePredictor())
    engine = ProcessEngine(partial(load_fake, str(folder), 0.0), 2)
    report = label_folder(folder, tmp_path / "two", PROMPTS, engine)
    assert report.images == 12
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_worker_that_is_killed_costs_nothing(tmp_path, content):
    folder = make_images(tmp_path / "images", 16)
    prelabel(folder, tmp_path / "one", [CELLS], FakePredictor())
    engine = ProcessEngine(partial(load_fake, str(folder), 0.05), 2)
    killed: list[int] = []

    def kill(done: int, total: int, name: str) -> None:
        if done in (3, 8):
            process = engine._workers[done % 2].process
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)

    report = label_folder(folder, tmp_path / "two", PROMPTS, engine, progress=kill)
    assert len(set(killed)) == 2
    assert (report.images, report.failures) == (16, ())
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_an_image_that_kills_workers_is_found_and_the_others_are_done(tmp_path):
    folder = make_images(tmp_path / "images", 6)
    Image.fromarray(np.full((9, 9), POISON, dtype=np.uint8)).save(folder / "image-0005.png")
    report = label_folder(folder, tmp_path / "out", PROMPTS, ProcessEngine(partial(load_fake, str(folder), 0.0), 1))
    assert report.images == 6
    (failure,) = report.failures
    assert (
        failure.file_name == "image-0005.png"
        and "2 times (signal SIGKILL, perhaps for want of memory)" in failure.reason
    )


@pytest.mark.parametrize(("load", "message"), [(no_model, "there is no model"), (dies, "die while they load")])
def test_workers_without_a_model_end_the_run(folder, tmp_path, load, message):
    with pytest.raises(WorkerError, match=message):
        label_folder(folder, tmp_path / "out", PROMPTS, ProcessEngine(load, 2))


def test_no_process_is_left(folder, tmp_path):
    engine = ProcessEngine(partial(load_fake, str(folder), 0.0), 2)
    pids: list[int] = []

    def stop(done: int, total: int, name: str) -> None:
        pids.extend(worker.process.pid for worker in engine._workers)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_folder(folder, tmp_path / "out", PROMPTS, engine, progress=stop)
    assert len(pids) == 2
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()
