from __future__ import annotations

import threading
import warnings
from typing import Any

import pytest

from napari_psalm.core.runner import Job, Runner


@pytest.fixture
def heard() -> dict[str, list[Any]]:
    return {"done": [], "failed": [], "told": []}


def _submit(runner: Runner, work: Any, heard: dict[str, list[Any]]) -> None:
    runner.submit(work, heard["done"].append, heard["failed"].append, heard["told"].append)


def test_work_runs_elsewhere_and_its_result_comes_here(post: Any, heard: Any) -> None:
    runner = Runner(post)

    def work(job: Job) -> threading.Thread:
        job.step("thinking")
        return threading.current_thread()

    _submit(runner, work, heard)
    assert runner.busy
    post.wait(lambda: bool(heard["done"]))
    assert heard["done"][0] is not threading.current_thread()
    assert heard["told"] == ["thinking"]
    assert not runner.busy


def test_an_error_comes_here_and_the_next_work_runs(post: Any, heard: Any) -> None:
    runner = Runner(post)
    _submit(runner, lambda job: 1 / 0, heard)
    post.wait(lambda: bool(heard["failed"]))
    assert isinstance(heard["failed"][0], ZeroDivisionError)
    _submit(runner, lambda job: "fine", heard)
    post.wait(lambda: bool(heard["done"]))


def test_the_latest_work_wins(post: Any, heard: Any) -> None:
    runner, started, go = Runner(post), threading.Event(), threading.Event()

    def slow(job: Job) -> str:
        started.set()
        go.wait(10)
        return "slow"

    _submit(runner, slow, heard)
    started.wait(10)
    _submit(runner, lambda job: "skipped", heard)
    _submit(runner, lambda job: "latest", heard)
    go.set()
    post.wait(lambda: bool(heard["done"]))
    assert heard["done"] == ["latest"]


def test_cancelled_work_ends_at_its_next_step_and_says_nothing(post: Any, heard: Any) -> None:
    runner, started, go, ended = Runner(post), threading.Event(), threading.Event(), threading.Event()

    def work(job: Job) -> None:
        started.set()
        go.wait(10)
        try:
            job.step("too late")
        finally:
            ended.set()

    _submit(runner, work, heard)
    started.wait(10)
    assert runner.cancel()
    assert not runner.cancel()
    go.set()
    assert ended.wait(10)
    _submit(runner, lambda job: "after", heard)
    post.wait(lambda: bool(heard["done"]))
    assert heard == {"done": ["after"], "failed": [], "told": []}


def test_warnings_of_the_worker_stay_in_it(post: Any, heard: Any, recwarn: pytest.WarningsRecorder) -> None:
    runner = Runner(post)
    _submit(runner, lambda job: warnings.warn("noise", stacklevel=1), heard)
    post.wait(lambda: bool(heard["done"]))
    assert not recwarn.list


def test_after_close_nothing_is_delivered(post: Any, heard: Any) -> None:
    runner, started, go = Runner(post), threading.Event(), threading.Event()

    def work(job: Job) -> None:
        started.set()
        go.wait(10)

    _submit(runner, work, heard)
    started.wait(10)
    runner.close()
    go.set()
    runner._executor.shutdown(wait=True)
    assert post._queue.empty()
    assert heard["done"] == []
