"""Machines of a Dask cluster, one model per worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from psalm.errors import PSALMError, WorkerError
from psalm.prelabel.records import Item, ModelChoice, ModelFacts, Outcome
from psalm.prelabel.worker import facts_of, label_items

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_SECONDS = 20
_WORKER_SECONDS = 120

Label = Callable[[ModelChoice, str, Sequence[Item], ModelFacts | None], list[Outcome]]
Facts = Callable[[ModelChoice, str], ModelFacts]


class ClusterEngine:
    """Labels on the workers of a Dask cluster; this process hands out images and takes the answers.

    A worker that dies loses the images it had in hand, which Dask gives to others. An image whose workers die again
    and again (as often as the cluster allows) is reported as failed. Workers may come and go.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://host:8786``. Dask sends Python objects: name only a cluster you trust.
    choice : ModelChoice
    image_root : path
        Which every worker must see under the same path.
    batch_size : int
        Images per task and pass of the model.
    label, facts : callable
        What the workers do.
    """

    def __init__(
        self,
        address: str,
        choice: ModelChoice,
        image_root: Path | str,
        batch_size: int = 1,
        label: Label = label_items,
        facts: Facts = facts_of,
    ) -> None:
        self._address, self._choice, self._root = address, choice, str(Path(image_root).resolve())
        self._batch_size, self._label, self._facts = batch_size, label, facts
        self.facts = ModelFacts("", "", {})
        self.description = f"cluster {address}, {batch_size} per pass"

    def __enter__(self) -> Self:
        """Connect, and ask a worker for its model.

        Raises
        ------
        WorkerError
            When Dask is not installed, there is no scheduler or worker, or a worker lacks psalm.
        """
        self._client = _connect(self._address)
        try:
            future = self._client.submit(self._facts, self._choice, self._root, pure=False)
            self.facts = _result(future)
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def outcomes(self, items: Iterable[Item]) -> Generator[Outcome, None, None]:
        """One outcome per item, as they come.

        Raises
        ------
        WorkerError
            When a worker cannot do its work.
        """
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        chunks = _chunks(items, self._batch_size)
        again: deque[list[Item]] = deque()
        running: dict[Future, list[Item]] = {}
        done = as_completed(loop=self._client.loop)
        while True:
            for _ in range(self._room() - len(running)):
                chunk = again.popleft() if again else next(chunks, [])
                if not chunk:
                    break
                future = self._client.submit(self._label, self._choice, self._root, chunk, self.facts, pure=False)
                running[future] = chunk
                done.add(future)
            if not running:
                return
            future = next(done)
            chunk = running.pop(future)
            try:
                yield from _result(future)
            except KilledWorker as error:
                if len(chunk) > 1:
                    again.extend([item] for item in chunk)
                else:
                    reason = f"{chunk[0].name} ended its worker again and again: leave it out ({error})."
                    yield Outcome(chunk[0], error=reason)

    def _room(self) -> int:
        """How many tasks are handed out at once: every thread of a worker has one in hand and one to follow."""
        return 2 * max(sum(self._client.nthreads().values()), 1)


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise WorkerError("A cluster needs Dask, which is not installed: pip install 'napari-psalm[dask]'.") from None
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkerError(f"There is no Dask scheduler at {address} ({error}): check the address.") from error
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except TimeoutError:
        client.close()
        raise WorkerError(f"The scheduler at {address} has no worker: start some with dask worker.") from None
    return client


def _result(future: Future) -> Any:
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except (PSALMError, KilledWorker):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise WorkerError(f"A worker failed ({reason}): give it the same psalm as here.") from error
    finally:
        future.release()


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Neighbours that share their prompts, at most `size` of them."""
    chunk: list[Item] = []
    for item in items:
        if chunk and (len(chunk) == size or item.prompts != chunk[0].prompts):
            yield chunk
            chunk = []
        chunk.append(item)
    if chunk:
        yield chunk
