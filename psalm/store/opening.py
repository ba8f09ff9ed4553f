"""The file of a store: opened, and brought up to date."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from psalm.errors import OutputError, StoreError
from psalm.store.faults import explained
from psalm.store.schema import APPLICATION_ID, MIGRATIONS, apply_steps

# A batch may write a large transaction while a person waits; longer than this, something hangs.
_BUSY_SECONDS = 60.0


def connect(file: Path, read_only: bool) -> sqlite3.Connection:
    """Open a store; one that an earlier version wrote is brought up to date.

    Raises
    ------
    StoreError
        When there is none, the file is not one, or a newer psalm wrote it.
    OutputError
        When it may not be read or written.
    """
    if not file.is_file():
        raise StoreError(f"There is no annotation store {file}: check the path of the dataset folder.")
    connection = _open_for_reading(file) if read_only else _open(file, "rw")
    try:
        with explained(file):
            _check_and_migrate(connection, file, read_only)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_for_reading(file: Path) -> sqlite3.Connection:
    try:
        return _open(file, "ro")
    except (OutputError, StoreError):
        # Where nothing may be written, SQLite cannot make the file that readers share; no writer can be there either.
        waiting = Path(f"{file}-wal")
        if not os.access(file.parent, os.W_OK) and not (waiting.exists() and waiting.stat().st_size):
            return _open(file, "ro&immutable=1")
        raise


def _open(file: Path, mode: str) -> sqlite3.Connection:
    with explained(file):
        connection = sqlite3.connect(
            f"{file.resolve().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            # A person's work outlives a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection


def _check_and_migrate(connection: sqlite3.Connection, file: Path, read_only: bool) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise StoreError(f"{file} is not an annotation store of psalm: check the path of the dataset folder.")
    version, current = _pragma(connection, "user_version"), len(MIGRATIONS)
    if version > current:
        raise StoreError(
            f"{file} was written by a newer psalm (schema {version}, this one knows {current}): upgrade psalm."
        )
    if version == current:
        return
    if read_only:
        raise StoreError(
            f"{file} was written by an older psalm (schema {version}, now {current}): open it for writing once."
        )
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        apply_steps(connection, _pragma(connection, "user_version"), MIGRATIONS)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
