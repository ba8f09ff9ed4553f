"""A COCO file of one's own goes on after an interruption, and is shown in pictures."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.evaluation import RecordFolder, evaluate, open_coco_file, run_benchmark
from psalm.evaluation.engine import identity
from psalm.evaluation.pictures import write_pictures

TASKS = ["interactive", "instance", "semantic", "panoptic", "referring"]


@pytest.mark.parametrize("task", TASKS)
def test_records_give_the_figures_of_a_whole_run(folder, shifted, tmp_path, task):
    benchmark = open_coco_file(folder / "coco.json", folder, task)
    about = identity(benchmark, shifted)
    records = RecordFolder(tmp_path / "run", about)
    for item, record in zip((0, 2), benchmark.ask([0, 2], shifted), strict=True):
        records.add(item, record)
    shifted.asked.clear()
    pieces = run_benchmark(benchmark, shifted, RecordFolder(tmp_path / "run", about))
    whole = evaluate(shifted, folder / "coco.json", folder, task)
    assert {key: pieces[key] for key in ("overall", "per_source", "per_category", "notes")} == {
        key: whole[key] for key in ("overall", "per_source", "per_category", "notes")
    }
    assert len(RecordFolder(tmp_path / "run", about).read()) == 3


@pytest.mark.parametrize("task", TASKS)
def test_pictures(folder, shifted, tmp_path, task):
    benchmark = open_coco_file(folder / "coco.json", folder, task)
    picture = benchmark.picture(0, shifted)
    assert picture.truth.shape == (3, 40, 60) and picture.answer.any() and picture.caption.startswith("1.png")
    assert (picture.answer.any(axis=0) != np.roll(picture.answer.any(axis=0), 2, 1)).any()
    records = dict(enumerate(benchmark.ask(range(3), shifted)))
    assert all(0 < record["quality"] <= 1 for record in records.values())
    assert write_pictures(tmp_path / "cases.png", benchmark, shifted, records).stat().st_size > 500
