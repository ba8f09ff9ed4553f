"""One piece of work at a time, off the thread that draws the window; the latest wins."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Post = Callable[[Callable[[], None]], None]
"""Runs a callable on the thread that may touch layers and widgets."""


class Cancelled(Exception):
    """Raised inside cancelled work at its next step."""


class Job:
    """What running work knows of the outside: whether it is still wanted, and whom to tell how far it is.

    Parameters
    ----------
    tell : callable
        Receives the name of each step, on the thread of the window.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.cancelled = threading.Event()

    def step(self, name: str) -> None:
        """Say what comes next.

        Raises
        ------
        Cancelled
            When the work is no longer wanted.
        """
        if self.cancelled.is_set():
            raise Cancelled
        self._tell(name)


class Runner:
    """Runs work in one thread of its own and hands results to the thread of the window.

    New work cancels what runs: the old work ends at its next step, and its result, if it still comes, is dropped.

    Parameters
    ----------
    post : callable
        See `Post`.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="psalm")
        self._current: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether a result is awaited."""
        return self._current is not None

    def submit(
        self,
        work: Callable[[Job], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        told: Callable[[str], None],
    ) -> None:
        """Start work; exactly one of `done` and `failed` follows unless the job is cancelled.

        Parameters
        ----------
        work : callable
            Runs in the thread; gets the `Job`.
        done, failed, told : callable
            Run on the thread of the window with the result, the error, and each step.
        """
        self.cancel()
        job = Job(lambda name: self._deliver(job, told, name, last=False))
        self._current = job
        self._executor.submit(self._run, job, work, done, failed)

    def cancel(self) -> bool:
        """Give up what runs; False when nothing did."""
        job, self._current = self._current, None
        if job is not None:
            job.cancelled.set()
        return job is not None

    def close(self) -> None:
        """Give up what runs and take no more; does not wait."""
        self.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(
        self, job: Job, work: Callable[[Job], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        try:
            with warnings.catch_warnings():
                # A warning raised here would make napari draw a notification from this thread.
                warnings.simplefilter("ignore")
                result = work(job)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001
            # Whatever went wrong must reach the user; in a thread it would vanish.
            self._deliver(job, failed, error, last=True)
        else:
            self._deliver(job, done, result, last=True)

    def _deliver(self, job: Job, receive: Callable[[Any], None], value: Any, last: bool) -> None:
        def on_window_thread() -> None:
            if self._current is not job:
                return
            if last:
                self._current = None
            receive(value)

        if not job.cancelled.is_set():
            self._post(on_window_thread)
