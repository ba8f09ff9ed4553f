"""Several processes on this machine, one model each; one that dies is replaced."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Self

from psalm.errors import PSALMError, WorkerError
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.pipeline import Pipeline
from psalm.prelabel.records import Item, ModelFacts, Outcome

# An image that was alone in a worker when it died so often is what kills them.
_DEATHS = 2
# So many workers that die before they have loaded their model will not be followed by one that lives.
_STILLBORN = 3


@dataclass
class _Worker:
    """A process, the way to it, and the items that it was given and has not answered."""

    position: int
    process: SpawnProcess
    connection: Connection
    items: deque[Item] = field(default_factory=deque)
    is_ready: bool = False


class ProcessEngine:
    """Labels in several processes.

    A process that dies is started again, and the images that it had are given out anew, one at a time, so that the one
    that kills processes is found; it is reported as failed.

    Parameters
    ----------
    load : callable
        Makes the labeller in the process; it gets the worker's position, from 0, and must be picklable.
    count : int
        How many processes.
    batch_size : int
    """

    def __init__(self, load: Callable[[int], Labeller], count: int, batch_size: int = 1) -> None:
        self._load, self._count, self._batch_size = load, count, batch_size
        self._ahead = 2 * batch_size + 1
        self._workers: list[_Worker] = []
        # Items of workers that died; and how often each was alone in one that did.
        self._again: deque[Item] = deque()
        self._deaths: dict[int, int] = {}
        self._stillborn = 0
        self.facts = ModelFacts("", "", {})
        self.description = f"{count} processes, {batch_size} per pass"

    def __enter__(self) -> Self:
        """Start the processes and wait for the first model.

        Raises
        ------
        WorkerError
            When a worker cannot load its model.
        """
        try:
            self._workers = [self._start(position) for position in range(self._count)]
            while not self.facts.name:
                for _ in self._answers(self._workers):
                    pass
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def outcomes(self, items: Iterable[Item]) -> Generator[Outcome, None, None]:
        """One outcome per item, as they come.

        Raises
        ------
        WorkerError
            When a worker cannot load its model, or the model cannot be asked at all.
        """
        source = iter(items)
        while True:
            for worker in self._workers:
                self._feed(worker, source)
            busy = [worker for worker in self._workers if worker.items]
            if not busy:
                return
            yield from self._answers(busy)

    def _start(self, position: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_work, args=(self._load, position, self._batch_size, there), name=f"psalm-{position}", daemon=True
        )
        with _without_interrupt():
            process.start()
        there.close()  # so that the end of the process is the end of the connection
        return _Worker(position, process, here)

    def _feed(self, worker: _Worker, source: Iterator[Item]) -> None:
        if self._again and not worker.items:
            self._send(worker, self._again.popleft())
        if any(item.image_id in self._deaths for item in worker.items):
            return  # a suspect is alone in its worker
        while len(worker.items) < self._ahead:
            item = next(source, None)
            if item is None:
                return
            self._send(worker, item)

    def _send(self, worker: _Worker, item: Item) -> None:
        worker.items.append(item)
        with suppress(OSError):  # when it has died, its connection will tell
            worker.connection.send(item)

    def _answers(self, workers: list[_Worker]) -> Iterator[Outcome]:
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in workers}
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._bury(worker)
                continue
            if isinstance(answer, str):
                raise WorkerError(answer)
            if isinstance(answer, ModelFacts):
                self.facts, worker.is_ready, self._stillborn = answer, True, 0
                continue
            for outcome in answer:
                worker.items = deque(item for item in worker.items if item.image_id != outcome.item.image_id)
                self._deaths.pop(outcome.item.image_id, None)
                yield outcome

    def _bury(self, worker: _Worker) -> Iterator[Outcome]:
        worker.connection.close()
        worker.process.join()
        cause, items = _cause(worker.process.exitcode), list(worker.items)
        if not worker.is_ready:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN:
                raise WorkerError(f"Workers die while they load the model ({cause}): use fewer workers.")
        elif len(items) == 1:
            deaths = self._deaths.pop(items[0].image_id, 0) + 1
            if deaths >= _DEATHS:
                name = items[0].name
                yield Outcome(items.pop(), error=f"{name} ended its worker {deaths} times ({cause}): leave it out.")
            else:
                self._deaths[items[0].image_id] = deaths
        else:
            self._deaths |= {item.image_id: self._deaths.get(item.image_id, 0) for item in items}
        self._again.extend(items)
        self._workers[self._workers.index(worker)] = self._start(worker.position)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()  # whatever is still in hand is not needed
        for worker in self._workers:
            worker.process.join()
        self._workers = []


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"signal {signal.Signals(-code).name}{hint}"
    return f"exit code {code}"


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """A process that is started now ignores Ctrl+C, which reaches all of a terminal: the first one ends the others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(load: Callable[[int], Labeller], position: int, batch_size: int, connection: Connection) -> None:
    """What a process does until its connection ends."""
    items: queue.SimpleQueue[Item] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, items), daemon=True).start()
    try:
        labeller = load(position)
        connection.send(labeller.facts)
        with Pipeline(labeller, batch_size) as pipeline:
            while True:
                while not pipeline.is_full and not (items.empty() and len(pipeline)):
                    pipeline.put(items.get())
                connection.send(pipeline.take())
    except OSError:
        return  # nobody listens any more
    except Exception as error:  # noqa: BLE001 - the other process raises it
        reason = str(error) if isinstance(error, PSALMError) else traceback.format_exc()
        with suppress(OSError):
            connection.send(f"A worker stopped: {reason}")


def _receive(connection: Connection, items: queue.SimpleQueue[Item]) -> None:
    try:
        while True:
            items.put(connection.recv())
    except (EOFError, OSError):
        # Nobody waits for an answer any more; what is half done is not needed.
        os._exit(0)
