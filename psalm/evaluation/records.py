"""The records of a run on disk, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from psalm.errors import OutputError
from psalm.evaluation.benchmark import Record
from psalm.files import write_text

_ABOUT = "evaluation.json"


class RecordFolder:
    """A folder with what was asked (``evaluation.json``) and the records so far (``records-0.jsonl``, ...).

    Parameters
    ----------
    folder : path
        Made when missing.
    about : dict
        Everything that the records depend on; plain values.
    fresh : bool
        Throw earlier records away instead of going on with them.

    Raises
    ------
    OutputError
        When the folder holds the records of another evaluation, or cannot be written.
    """

    def __init__(self, folder: Path | str, about: dict[str, Any], fresh: bool = False) -> None:
        self.folder = Path(folder)
        if fresh:
            clear_records(self.folder)
        # Listed first: another process of the same run may be writing what it is about, and then records, right now.
        files = record_files(self.folder)
        known = _read_about(self.folder / _ABOUT)
        if known is None and files:
            raise OutputError(f"{self.folder} holds records of an unknown evaluation: choose another folder.")
        if known is not None and known != json.loads(json.dumps(about)):
            differing = ", ".join(sorted(key for key in {*known, *about} if known.get(key) != about.get(key)))
            raise OutputError(
                f"{self.folder} holds another evaluation (other {differing}): choose another folder, or start afresh."
            )
        if known is None:
            write_text(self.folder / _ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")

    def read(self) -> dict[int, Record]:
        """All records by item; a line that was cut when a run was killed is left out."""
        records: dict[int, Record] = {}
        for path in record_files(self.folder):
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    record = json.loads(line)
                    records[record.pop("item")] = record
        return records

    def add(self, item: int, record: Record, worker: int = 0) -> None:
        """Keep a record; each process writes a file of its own."""
        line = json.dumps({"item": item} | record, allow_nan=False)
        path = self.folder / f"records-{worker}.jsonl"
        try:
            _end_cut_line(path)
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror}): make room, and run it again.") from error


def record_files(folder: Path | str) -> list[Path]:
    """The files of records in a folder."""
    return sorted(Path(folder).glob("records-*.jsonl"))


def clear_records(folder: Path | str) -> None:
    """Throw the records of an evaluation away; a folder that holds none is left alone."""
    if (Path(folder) / _ABOUT).exists():
        for path in [*record_files(folder), Path(folder) / _ABOUT]:
            path.unlink()


def _end_cut_line(path: Path) -> None:
    """Remove the beginning of a record that an earlier run did not finish."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            content = path.read_bytes()
            file.truncate(content.rfind(b"\n") + 1)


def _read_about(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read ({error}): choose another folder.") from error
    return content if isinstance(content, dict) else {}
