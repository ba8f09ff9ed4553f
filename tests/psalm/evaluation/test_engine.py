"""A run gives the same figures at once, in pieces, in batches and in several processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import pytest

from psalm.data.interactive import write_interactive
from psalm.errors import AnnotationError, ConditionError, OutputError, PSALMError
from psalm.evaluation import BENCHMARKS, BenchmarkChoice, RecordFolder, open_benchmark, run_benchmark
from psalm.evaluation.engine import choose_items, identity
from psalm.evaluation.processes import _reporter, run_in_processes
from tests.psalm.data.published_layouts import make_coco, make_davis, make_refer
from tests.psalm.evaluation.answering import echo


@pytest.fixture
def choice(tmp_path):
    make_coco(tmp_path / "coco")
    instances = tmp_path / "coco/annotations/instances_val2017.json"
    write_interactive(instances, tmp_path / "coco/coco_interactive_val_psalm.json")
    return BenchmarkChoice("coco-interactive", str(tmp_path), prompt="box")


class Interrupted(Exception):
    pass


def stop_after(benchmark, count):
    """A benchmark that is interrupted before item number `count`."""
    ask = benchmark.ask

    def limited(indices, predictor):
        if max(indices) >= count:
            raise Interrupted
        return ask(indices, predictor)

    benchmark.ask = limited
    return benchmark


def test_an_interrupted_run_goes_on(choice, tmp_path):
    whole = run_benchmark(open_benchmark(choice), echo())
    about = identity(open_benchmark(choice), echo())
    with pytest.raises(Interrupted):
        run_benchmark(stop_after(open_benchmark(choice), 1), echo(), RecordFolder(tmp_path / "run", about))
    # the process was killed while it wrote
    path = tmp_path / "run/records-0.jsonl"
    path.write_text(path.read_text() + '{"item": 1, "overl')
    predictor, seen = echo(), []
    records = RecordFolder(tmp_path / "run", about)
    assert run_benchmark(open_benchmark(choice), predictor, records, progress=lambda *p: seen.append(p)) == whole
    assert {value for value, *_ in predictor.asked} == {2} and seen == [(1, 2), (2, 2)]
    again = echo()
    assert run_benchmark(open_benchmark(choice), again, RecordFolder(tmp_path / "run", about)) == whole
    assert not again.asked and len(RecordFolder(tmp_path / "run", about).read()) == 2


def test_another_evaluation_does_not_take_the_records(choice, tmp_path):
    benchmark, predictor = open_benchmark(choice), echo()
    run_benchmark(benchmark, predictor, RecordFolder(tmp_path / "run", identity(benchmark, predictor)))
    predictor.weights_hash = "1"
    with pytest.raises(OutputError, match=r"another evaluation \(other weights\)"):
        RecordFolder(tmp_path / "run", identity(benchmark, predictor))
    assert not RecordFolder(tmp_path / "run", identity(benchmark, predictor), fresh=True).read()
    (tmp_path / "run/evaluation.json").unlink()
    (tmp_path / "run/records-0.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match="unknown evaluation"):
        RecordFolder(tmp_path / "run", {})


def test_batches_give_the_same_figures(choice):
    whole = run_benchmark(open_benchmark(choice), echo())
    predictor = echo()
    assert run_benchmark(open_benchmark(choice), predictor, batch=2) == whole and predictor.batches == [2]


def test_one_image_is_encoded_once(choice):
    predictor, images = echo(), []
    set_image = predictor.set_image
    predictor.set_image = lambda image: (images.append(image), set_image(image))
    run_benchmark(open_benchmark(BenchmarkChoice("coco-interactive", choice.folder)), predictor)
    assert len(images) == 2 and len(predictor.asked) == 8


def test_processes_give_the_same_figures(choice, tmp_path):
    whole = run_benchmark(open_benchmark(choice), echo())
    seen = []
    result = run_in_processes(
        partial(open_benchmark, choice), echo, [None, None], tmp_path / "run", method="fork",
        progress=lambda *p: seen.append(p),
    )  # fmt: skip
    assert {key: result[key] for key in whole} == whole and result["model"] == "answering" and seen[-1] == (2, 2)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "evaluation.json", "records-0.jsonl", "records-1.jsonl",
    ]  # fmt: skip
    assert run_in_processes(partial(open_benchmark, choice), echo, [None], None, method="fork") == result


def fail(device):
    raise ConditionError("no such model")


def test_a_failing_process_is_named(choice):
    with pytest.raises(PSALMError, match=r"Process [12] failed \(ConditionError: no such model\)"):
        run_in_processes(partial(open_benchmark, choice), fail, [None, None], method="fork")


def _end(status):
    raise Interrupted(status)


@pytest.mark.parametrize("alive", [True, False])
def test_a_process_ends_with_the_run_that_began_it(monkeypatch, alive):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(is_alive=lambda: alive))
    monkeypatch.setattr(os, "_exit", _end)
    reports = queue.Queue()
    with nullcontext() if alive else pytest.raises(Interrupted):
        _reporter(reports, 3)(5, 8)
    assert reports.qsize() == alive and (not alive or reports.get() == ("done", 3, 5))


def test_limits_are_spread(choice):
    benchmark = open_benchmark(choice)
    assert choose_items(benchmark) == [0, 1] and choose_items(benchmark, 1) == [0]
    assert run_benchmark(benchmark, echo(), limit=1)["items"] == 1
    with pytest.raises(AnnotationError, match="at least 1"):
        choose_items(benchmark, 0)
    with pytest.raises(AnnotationError, match="at least 1"):
        run_benchmark(benchmark, echo(), batch=0)


def test_records_are_plain_lines(choice, tmp_path):
    benchmark, predictor = open_benchmark(choice), echo()
    run_benchmark(benchmark, predictor, RecordFolder(tmp_path / "run", identity(benchmark, predictor)))
    lines = (tmp_path / "run/records-0.jsonl").read_text().splitlines()
    assert [json.loads(line)["item"] for line in lines] == [0, 1]


def test_wrong_choices_are_named(tmp_path):
    folder = str(tmp_path)
    with pytest.raises(ConditionError, match="no benchmark 'coco': choose one of coco-panoptic"):
        open_benchmark(BenchmarkChoice("coco", folder))
    with pytest.raises(ConditionError, match="coco-panoptic takes no protocol"):
        open_benchmark(BenchmarkChoice("coco-panoptic", folder, protocol="paper"))
    with pytest.raises(ConditionError, match="davis takes no at-once"):
        open_benchmark(BenchmarkChoice("davis", folder, at_once=3))
    with pytest.raises(ConditionError, match="refcoco takes no synonym-file"):
        open_benchmark(BenchmarkChoice("refcoco", folder, synonym_file="x"))
    with pytest.raises(ConditionError, match="no folder"):
        open_benchmark(BenchmarkChoice("davis", f"{folder}/nowhere"))
    with pytest.raises(AnnotationError, match="DAVIS website"):
        open_benchmark(BenchmarkChoice("davis", folder))


def test_benchmarks_open_below_a_folder_of_data_sets(tmp_path):
    make_refer(tmp_path / "refer_seg")
    make_davis(tmp_path / "DAVIS/2017/trainval")
    make_coco(tmp_path / "coco")
    for name, count in (("refcoco", 1), ("davis", 1), ("coco-panoptic", 2), ("coco-instance", 3), ("coco-semantic", 2)):
        assert name in BENCHMARKS and len(open_benchmark(BenchmarkChoice(name, str(tmp_path)))) == count
