"""Long lists as JSON, an entry a line, without holding them in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_lists(path: Path, head: dict[str, Any], lists: Iterable[tuple[str, Iterable[Any]]]) -> None:
    """Write a JSON object: the entries of `head`, then each list as its entries come."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("{")
        file.writelines(f"{to_json(key)}: {to_json(value)},\n" for key, value in head.items())
        for i, (name, entries) in enumerate(lists):
            file.write(f"{',' if i else ''}\n{to_json(name)}: [")
            for place, entry in enumerate(entries):
                file.write(f"{',' if place else ''}\n{to_json(entry)}")
            file.write("\n]")
        file.write("\n}\n")


def to_json(value: Any) -> str:
    """Compact JSON; NaN raises ValueError."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
