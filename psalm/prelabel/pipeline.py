"""Reading runs ahead of the model, by a bounded number of images."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from psalm.prelabel.labelling import Labeller, Ready
from psalm.prelabel.records import Item, Outcome


class Pipeline:
    """Images are read and prepared in threads while the model works on earlier ones.

    Parameters
    ----------
    labeller : Labeller
    batch_size : int
        Images per pass of the model.
    """

    def __init__(self, labeller: Labeller, batch_size: int = 1) -> None:
        self._labeller, self._batch_size = labeller, batch_size
        threads = min(4, os.cpu_count() or 1)
        self._ahead = 2 * batch_size + threads - 1
        self._readers = ThreadPoolExecutor(threads, thread_name_prefix="psalm-read")
        self._waiting: deque[tuple[Item, Future[Ready]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._readers.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether `take` has to be called before the next `put`."""
        return len(self._waiting) >= self._ahead

    def put(self, item: Item) -> None:
        """Let an item be read."""
        self._waiting.append((item, self._readers.submit(self._labeller.read, item)))

    def take(self) -> list[Outcome]:
        """Label the next images that share their prompts, at most a batch of them."""
        if not self._waiting:
            return []
        prompts = self._waiting[0][0].prompts
        batch: list[Ready] = []
        while self._waiting and len(batch) < self._batch_size and self._waiting[0][0].prompts == prompts:
            batch.append(self._waiting.popleft()[1].result())
        return self._labeller.label(batch)


class HereEngine:
    """Labels in this process.

    Parameters
    ----------
    labeller : Labeller
    batch_size : int
    """

    def __init__(self, labeller: Labeller, batch_size: int = 1) -> None:
        self._labeller, self._batch_size = labeller, batch_size
        self.facts = labeller.facts
        self.description = f"{labeller.predictor.device}, {batch_size} per pass"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._labeller.close()

    def outcomes(self, items: Iterable[Item]) -> Generator[Outcome, None, None]:
        """One outcome per item, in their order."""
        with Pipeline(self._labeller, self._batch_size) as pipeline:
            for item in items:
                pipeline.put(item)
                if pipeline.is_full:
                    yield from pipeline.take()
            while len(pipeline):
                yield from pipeline.take()
