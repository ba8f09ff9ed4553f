"""The file of a store, made or copied: it appears whole or not at all, also when two processes make it at once."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psalm.errors import OutputError, StoreError
from psalm.store.faults import explained
from psalm.store.schema import APPLICATION_ID, MIGRATIONS, apply_steps

# What SQLite puts beside a file while it is in use.
_COMPANIONS = ("-wal", "-shm", "-journal")


def create_file(file: Path, settings: Mapping[str, str]) -> None:
    """Make an empty store with these settings, values as JSON.

    Raises
    ------
    StoreError
        When there is one already.
    OutputError
        When the folder cannot be written.
    """
    with _appearing(file) as temporary, explained(file):
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            # Kept in the file: readers and a writer do not wait for each other.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            apply_steps(connection, 0, MIGRATIONS)
            connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
            connection.execute("COMMIT")
        finally:
            connection.close()


def copy_file(source: sqlite3.Connection, file: Path) -> None:
    """Copy an open store as it is at one moment, whatever others write meanwhile.

    Raises
    ------
    StoreError
        When there is a store at `file` already.
    OutputError
        When the folder cannot be written.
    """
    with _appearing(file) as temporary, explained(file):
        target = sqlite3.connect(temporary)
        try:
            source.backup(target)
        finally:
            target.close()


@contextmanager
def _appearing(file: Path) -> Iterator[Path]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _refuse_remains(file)
        handle, name = tempfile.mkstemp(prefix=".psalm-", suffix=".db", dir=file.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # A temporary file is private; a result gets the permissions of any new file.
            temporary.chmod(0o666 & ~_umask())
            _put(temporary, file)
        finally:
            for suffix in ("", *_COMPANIONS):
                Path(f"{temporary}{suffix}").unlink(missing_ok=True)
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{file} cannot be made ({reason}): choose a folder you may write to.") from error


def _refuse_remains(file: Path) -> None:
    # SQLite would write what they hold into the new file.
    remains = [path.name for path in (Path(f"{file}{suffix}") for suffix in _COMPANIONS) if path.exists()]
    if remains and not file.exists():
        raise StoreError(
            f"{file.parent} holds remains of a store that was removed: remove {', '.join(remains)} as well, or put "
            f"{file.name} back."
        )


def _put(temporary: Path, file: Path) -> None:
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise _exists(file) from None
    except OSError:
        # Some file systems know no hard links.
        if file.exists():
            raise _exists(file) from None
        temporary.replace(file)


def _exists(file: Path) -> StoreError:
    return StoreError(f"{file} exists already: open it, or choose another folder.")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
