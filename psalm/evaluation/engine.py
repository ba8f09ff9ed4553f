"""Run a benchmark: in batches, by one process or several, and on from where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from psalm.errors import AnnotationError
from psalm.evaluation.benchmark import Benchmark, Record
from psalm.evaluation.predictor import Predictor
from psalm.evaluation.records import RecordFolder

Progress = Callable[[int, int], None]


def run_benchmark(
    benchmark: Benchmark,
    predictor: Predictor,
    records: RecordFolder | None = None,
    batch: int = 1,
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Ask every item that has no record yet, and compute the figures.

    Parameters
    ----------
    benchmark : Benchmark
    predictor : PSALMPredictor
    records : RecordFolder, optional
        Where records are kept; in memory when not given, which no later run can go on with.
    batch : int
        Items that are asked together.
    limit : int, optional
        At most so many items, spread evenly.
    progress : callable, optional
        Called with the number of items done and of all items.

    Returns
    -------
    dict
        What was asked and its figures; see `summarise`.

    Raises
    ------
    AnnotationError
        When `batch` or `limit` is below 1, or the data is damaged.
    """
    items = choose_items(benchmark, limit)
    known = records.read() if records else {}
    found = ask_share(benchmark, predictor, items, known, records, batch, progress)
    return summarise(benchmark, [found[item] for item in items])


def ask_share(
    benchmark: Benchmark,
    predictor: Predictor,
    items: Sequence[int],
    known: dict[int, Record],
    records: RecordFolder | None = None,
    batch: int = 1,
    progress: Progress | None = None,
    worker: int = 0,
) -> dict[int, Record]:
    """Ask those of `items` that have no record in `known`; returns all records by item."""
    if batch < 1:
        raise AnnotationError(f"The batch is {batch} items: give at least 1.")
    found = {item: known[item] for item in items if item in known}
    left = [item for item in items if item not in found]
    for start in range(0, len(left), batch):
        if progress:
            progress(len(found), len(items))
        part = left[start : start + batch]
        for item, record in zip(part, benchmark.ask(part, predictor), strict=True):
            found[item] = record
            if records:
                records.add(item, record, worker)
    if progress:
        progress(len(found), len(items))
    return found


def choose_items(benchmark: Benchmark, limit: int | None = None) -> list[int]:
    """All items, or at most `limit` of them, spread evenly so that every part of the data is seen."""
    if limit is not None and limit < 1:
        raise AnnotationError(f"The limit is {limit} items: give at least 1.")
    if limit is None or limit >= len(benchmark):
        return list(range(len(benchmark)))
    return np.linspace(0, len(benchmark) - 1, limit).round().astype(int).tolist()


def summarise(benchmark: Benchmark, records: Sequence[Record]) -> dict[str, Any]:
    """``benchmark``, ``split``, ``settings``, ``items``, ``overall``, ``per_...`` tables and ``notes``."""
    asked = {
        "benchmark": benchmark.name,
        "split": benchmark.split,
        "settings": {key: value for key, value in benchmark.settings.items() if key != "names"},
        "items": len(records),
    }
    return asked | benchmark.figures(records)


def identity(benchmark: Benchmark, predictor: Any) -> dict[str, Any]:
    """Everything that records depend on, for `RecordFolder`: two runs with the same identity share their records."""
    return {
        "benchmark": benchmark.name,
        "split": benchmark.split,
        "settings": benchmark.settings,
        "items": len(benchmark),
        "model": predictor.config.name,
        "weights": str(getattr(predictor, "weights_hash", "")),
        "thresholds": vars(predictor.thresholds),
        **({"tiles": vars(plan)} if (plan := getattr(predictor, "plan", None)) else {}),
    }
