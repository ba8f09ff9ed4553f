"""What was asked of which weights, kept once for all objects that it gave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from psalm.store.history import HistoryTable, to_json
from psalm.store.records import Provenance

_KEPT = 1000


class Source(NamedTuple):
    """The part of a `Provenance` that the objects of an answer share."""

    model: str
    weights: str
    prompt: Mapping[str, Any]
    thresholds: Mapping[str, Any]


class SourceTable(HistoryTable):
    """The part of the store that knows the questions behind the objects; rows are never changed or removed."""

    def __init__(self, file: Path, read_only: bool = False, actor: str = "") -> None:
        self._sources: dict[int, Source] = {}
        self._last: tuple[Provenance, int] | None = None
        super().__init__(file, read_only, actor)

    def source(self, source_id: int) -> Source:
        """Model, weights, prompt and thresholds under the number that the history names as ``source``."""
        known = self._sources.get(source_id)
        if known is None:
            row = self._found(
                self._row("SELECT model, weights, prompt, thresholds FROM sources WHERE id = ?", [source_id]),
                f"source {source_id}",
            )
            known = Source(row[0], row[1], json.loads(row[2]), json.loads(row[3]))
            if len(self._sources) >= _KEPT:
                self._sources.clear()
            self._sources[source_id] = known
        return known

    def _source_id(self, provenance: Provenance) -> int:
        # The objects of an answer come one after another and share the record.
        if self._last is not None and self._last[0] is provenance:
            return self._last[1]
        texts = [
            str(provenance.model),
            str(provenance.weights),
            to_json(dict(provenance.prompt)),
            to_json(dict(provenance.thresholds)),
        ]
        digest = hashlib.sha256(to_json(texts).encode("utf-8", "surrogatepass")).digest()
        row = self._row("SELECT id FROM sources WHERE digest = ?", [digest])
        if row is None:
            columns = "(digest, model, weights, prompt, thresholds)"
            source_id = self._insert(f"INSERT INTO sources {columns} VALUES (?, ?, ?, ?, ?)", [digest, *texts])
        else:
            source_id = int(row[0])
        self._last = (provenance, source_id)
        return source_id

    def _forget(self) -> None:
        # Rows that were taken back may have been among them.
        self._sources.clear()
        self._last = None
