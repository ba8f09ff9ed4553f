"""SQLite's errors in the words of a user."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psalm.errors import AnnotationError, OutputError, PSALMError, StoreError

_FULL = "there is no room left: free some space and run it again; what was stored before is kept."
_NOT_WRITABLE = "it may not be written: choose a folder you may write to, or open it for reading only."


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Raise SQLite's errors as `StoreError` or `OutputError` that name the file and the cure."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, file) from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise AnnotationError(
            f"{file} cannot keep the value ({error}): give valid Unicode and smaller numbers."
        ) from error


def explain(error: sqlite3.Error, file: Path) -> PSALMError:
    """The error that says what SQLite meant."""
    # The low byte is the kind, the rest its details.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return OutputError(f"{file} cannot be written, {_FULL}")
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return OutputError(f"{file} cannot be written, {_NOT_WRITABLE}")
    if kind == sqlite3.SQLITE_IOERR:
        return OutputError(f"{file} cannot be read or written ({error}): check the disk and its free space.")
    if kind == sqlite3.SQLITE_CANTOPEN:
        return OutputError(f"{file} cannot be opened ({error}): check the folder and its permissions.")
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{file} was kept busy by another process for too long: wait for it, or end it.")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreError(f"{file} was closed: open it again.")
    if kind in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StoreError(f"{file} is not an annotation store, or is damaged ({error}): use a backup.")
    return StoreError(f"{file}: {error}; the change was not made.")
