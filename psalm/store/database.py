"""A connection to the file of a store, read from and changed in whole transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from psalm.errors import OutputError, StoreError
from psalm.store.faults import explained
from psalm.store.opening import connect


class Database:
    """A connection to the file of a store; base of `AnnotationStore`, which knows what is in it.

    Several threads may use it, one at a time: while one waits to write, so do the others. A thread that must not wait
    opens the store for itself. It must not be shared with a forked process.

    Parameters
    ----------
    file : Path
    read_only : bool
    actor : str
        Who writes, for the history.
    """

    def __init__(self, file: Path, read_only: bool = False, actor: str = "") -> None:
        self.file, self.read_only, self.actor = file, read_only, actor
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = connect(file, read_only)

    def close(self) -> None:
        """Close the file; calling it twice does no harm."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the ``with`` block, or none when it raises; other writers wait meanwhile.

        Blocks may be nested: an inner block that raises takes back its own changes alone.

        Raises
        ------
        OutputError
            When the store was opened for reading, or the disk is full or may not be written.
        StoreError
            When another process kept the file for longer than a minute.
        """
        if self.read_only:
            raise OutputError(f"{self.file} was opened for reading only: open it without read_only to change it.")
        with self._lock:
            outer = self._depth == 0
            if outer and self._connection.in_transaction:
                raise StoreError(f"{self.file} is being read as a snapshot: end it before changing the store.")
            if not outer:
                self._check_transaction()
            name = f"level{self._depth}"
            self._depth += 1
            try:
                self._execute("BEGIN IMMEDIATE" if outer else f"SAVEPOINT {name}")
                yield
                self._execute("COMMIT" if outer else f"RELEASE {name}")
            except BaseException:
                self._take_back("ROLLBACK") if outer else self._take_back(f"ROLLBACK TO {name}", f"RELEASE {name}")
                raise
            finally:
                self._depth -= 1

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within the ``with`` block, everything that is read is of one moment, whatever others write meanwhile."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._execute("BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.Error):
                    self._connection.execute("COMMIT")

    def _take_back(self, *statements: str) -> None:
        self._forget()
        # A full disk makes SQLite roll back by itself; then there is nothing left to take back.
        with suppress(sqlite3.Error):
            for statement in statements:
                self._connection.execute(statement)

    def _forget(self) -> None:
        """Drop what was remembered of the file; called when changes are taken back."""

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        # SQLite would keep the numbers of numpy as raw bytes.
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        with self._lock, explained(self.file):
            return self._connection.execute(statement, plain)

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, explained(self.file):
            return self._execute(statement, values).fetchall()

    def _row(self, statement: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        with self._lock, explained(self.file):
            row: tuple[Any, ...] | None = self._execute(statement, values).fetchone()
            return row

    def _found(self, row: tuple[Any, ...] | None, what: str) -> tuple[Any, ...]:
        if row is None:
            raise StoreError(f"{self.file} has no {what}: it was removed, or never was there.")
        return row

    def _write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Change rows and return how many."""
        return self._change(statement, values).rowcount

    def _insert(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Add a row and return its id."""
        return int(self._change(statement, values).lastrowid or 0)

    def _change(self, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        self._check_transaction()
        return self._execute(statement, values)

    def _check_transaction(self) -> None:
        # SQLite ends a transaction by itself when the disk is full; what follows must not be written without it.
        if not self._connection.in_transaction:
            raise StoreError(f"{self.file}: the transaction was broken off, nothing more is written: start it again.")
