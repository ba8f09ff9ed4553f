"""Folders that appear whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psalm.errors import OutputError

# Says that a folder is an export, and which, so that nothing else is ever replaced.
INDEX = "psalm.json"


@contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder to write to; it becomes `out` when the ``with`` block ends well.

    Raises
    ------
    OutputError
        When `out` exists and is not empty, unless `overwrite` is given and it is an earlier export; or when it cannot
        be written.
    """
    _check(out, overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise _not_written(out, error) from error
    try:
        new = temporary / "new"
        new.mkdir()
        yield new
        if out.exists():
            out.replace(temporary / "old")
        new.replace(out)
    except OutputError:
        raise
    except OSError as error:
        raise _not_written(out, error) from error
    finally:
        # When the last step failed, the earlier export goes back to its place.
        if (temporary / "old").exists() and not out.exists():
            (temporary / "old").replace(out)
        shutil.rmtree(temporary, ignore_errors=True)


def read_index(folder: Path, format: str) -> dict[str, Any] | None:
    """The index that an export of a format left in its folder; None when there is none."""
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and content.get("format") == format else None


def _check(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file: give a folder.")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise OutputError(f"{out} is not empty: choose another folder, or allow it to be overwritten (--overwrite).")
    if not (out / INDEX).is_file():
        raise OutputError(f"{out} holds other things than an export of psalm: choose another folder.")


def _not_written(out: Path, error: OSError) -> OutputError:
    return OutputError(f"{out} cannot be written ({error.strerror or error}): choose a folder you may write to.")
