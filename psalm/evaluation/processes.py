"""A benchmark shared by several processes, each with a model of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from psalm.errors import PSALMError
from psalm.evaluation.benchmark import Benchmark
from psalm.evaluation.engine import Progress, ask_share, choose_items, identity, summarise
from psalm.evaluation.records import RecordFolder, clear_records

OpenBenchmark = Callable[[], Benchmark]
OpenPredictor = Callable[[str | None], Any]


def run_in_processes(
    open_benchmark: OpenBenchmark,
    open_predictor: OpenPredictor,
    devices: Sequence[str | None],
    folder: Path | str | None = None,
    batch: int = 1,
    limit: int | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    method: str = "spawn",
) -> dict[str, Any]:
    """Run a benchmark in one process per entry of `devices`; the result also names the model.

    Parameters
    ----------
    open_benchmark : callable
        Opens the benchmark; like the next one it is called in every process, so it must be importable.
    open_predictor : callable
        Device -> predictor.
    devices : sequence of str or None
        Where each process computes; an entry may occur several times.
    folder : path, optional
        Where records are kept; a temporary folder when not given, with which no later run can go on.
    batch, limit, progress
        See `psalm.evaluation.engine.run_benchmark`.
    fresh : bool
        Throw earlier records away.
    method : {"spawn", "fork", "forkserver"}
        How processes start; CUDA needs spawn.

    Raises
    ------
    PSALMError
        When a process fails; the records so far are kept.
    """
    if folder is None:
        with TemporaryDirectory() as temporary:
            return run_in_processes(
                open_benchmark, open_predictor, devices, temporary, batch, limit, fresh, progress, method
            )  # fmt: skip
    benchmark = open_benchmark()
    context: Any = multiprocessing.get_context(method)
    reports = context.Queue()
    shared = (open_benchmark, open_predictor, str(folder), batch, limit, reports)
    if fresh:
        clear_records(folder)
    workers = [
        context.Process(target=_work, args=(*shared, device, number, len(devices)), daemon=True)
        for number, device in enumerate(devices)
    ]
    for worker in workers:
        worker.start()
    try:
        about = _watch(workers, reports, benchmark, limit, progress)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
            worker.join()
    records = RecordFolder(folder, about).read()
    return summarise(benchmark, [records[item] for item in choose_items(benchmark, limit)]) | {
        "model": about["model"], "weights": about["weights"],
    }  # fmt: skip


def _work(
    open_benchmark: OpenBenchmark,
    open_predictor: OpenPredictor,
    folder: str,
    batch: int,
    limit: int | None,
    reports: Any,
    device: str | None,
    number: int,
    count: int,
) -> None:
    """One process: every `count`-th item that has no record when it begins."""
    try:
        _share_cores(count)
        benchmark, predictor = open_benchmark(), open_predictor(device)
        about = identity(benchmark, predictor)
        records = RecordFolder(folder, about)
        mine = choose_items(benchmark, limit)[number::count]
        ask_share(benchmark, predictor, mine, records.read(), records, batch, _reporter(reports, number), number)
        reports.put(("ended", number, about))
    except BaseException as error:
        reports.put(("failed", number, f"{type(error).__name__}: {error}"))
        raise


def _reporter(reports: Any, number: int) -> Progress:
    """Tells how far a process is, and ends it when nobody is left to hear it.

    A killed run leaves its processes behind, and they would write beside those of the run that goes on with it.
    """
    parent = multiprocessing.parent_process()

    def report(done: int, _total: int) -> None:
        if parent is not None and not parent.is_alive():
            os._exit(1)
        reports.put(("done", number, done))

    return report


def _share_cores(count: int) -> None:
    """Each process would otherwise use all cores, and all of them would wait for each other."""
    import torch

    torch.set_num_threads(max((os.cpu_count() or 1) // count, 1))


def _watch(
    workers: Sequence[Any], reports: Any, benchmark: Benchmark, limit: int | None, progress: Progress | None
) -> dict[str, Any]:
    """Wait for all processes; returns what their records depend on."""
    total, done = len(choose_items(benchmark, limit)), [0] * len(workers)
    ended: dict[int, dict[str, Any]] = {}
    while len(ended) < len(workers):
        try:
            kind, number, content = reports.get(timeout=1)
        except queue.Empty:
            _check_alive(workers, ended)
            continue
        if kind == "failed":
            raise PSALMError(f"Process {number + 1} failed ({content}); the same command goes on with its records.")
        if kind == "ended":
            ended[number] = content
        else:
            done[number] = content
            if progress:
                progress(sum(done), total)
    return ended[0]


def _check_alive(workers: Sequence[Any], ended: dict[int, Any]) -> None:
    for number, worker in enumerate(workers):
        if number not in ended and not worker.is_alive() and worker.exitcode:
            raise PSALMError(
                f"Process {number + 1} was ended from outside (exit code {worker.exitcode}), perhaps for lack of "
                "memory: use fewer processes; the same command goes on with its records."
            )
