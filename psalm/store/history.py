"""What happened to a dataset, change by change, and its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from psalm.errors import AnnotationError
from psalm.store.database import Database
from psalm.store.records import Change, now


class HistoryTable(Database):
    """The part of the store that remembers changes and settings."""

    def history(self, image_id: int | None = None, limit: int | None = None) -> list[Change]:
        """Changes in the order in which they were made.

        Parameters
        ----------
        image_id : int, optional
            Those of one image; of the whole dataset when not given.
        limit : int, optional
            Only the latest so many.
        """
        where, values = ("", []) if image_id is None else ("WHERE image_id = ?", [image_id])
        rows = self._rows(
            f"SELECT id, at, actor, action, image_id, before, after FROM history {where} ORDER BY id DESC LIMIT ?",
            [*values, -1 if limit is None else limit],
        )
        return [_change(row) for row in reversed(rows)]

    def setting(self, key: str, default: Any = None) -> Any:
        """A value that was kept with the dataset."""
        row = self._row("SELECT value FROM settings WHERE key = ?", [key])
        return default if row is None else json.loads(row[0])

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a value, anything that JSON can write, with the dataset."""
        with self.transaction():
            self._write("INSERT OR REPLACE INTO settings VALUES (?, ?)", [key, to_json(value)])

    def _remember(self, action: str, image_id: int | None, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._write(
            "INSERT INTO history (at, actor, action, image_id, before, after) VALUES (?, ?, ?, ?, ?, ?)",
            [now(), self.actor, action, image_id, to_json(before), to_json(after)],
        )


def to_json(value: Any) -> str:
    """Compact JSON with sorted keys, so that equal values are equal text.

    Raises
    ------
    AnnotationError
        When JSON cannot write it.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise AnnotationError(
            f"{type(value).__name__} cannot be kept as JSON ({error}): use text, finite numbers, lists and dicts."
        ) from error


def _change(row: tuple[Any, ...]) -> Change:
    change_id, at, actor, action, image_id, before, after = row
    return Change(change_id, at, actor, action, image_id, json.loads(before), json.loads(after))
