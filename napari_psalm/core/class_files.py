"""Class lists as people keep them: text, CSV and JSON files, and the categories of a COCO file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from napari_psalm.core.category_table import CategoryTable
from psalm.errors import ConditionError
from psalm.files import write_text

_NAME_COLUMNS = ("name", "class", "category", "label")


def read_class_file(path: Path) -> CategoryTable:
    """Read a class list; see `CategoryTable.from_file`.

    Raises
    ------
    ConditionError
        When the file cannot be read as a class list.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            value = json.loads(text)
            return CategoryTable.from_records(value["categories"] if isinstance(value, dict) else value)
        if path.suffix.lower() == ".csv":
            return CategoryTable.from_records(_csv_records(text))
        return CategoryTable.from_text(text.replace(",", "\n"))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConditionError(
            f"{path.name} is not a class list ({error}): use one name per line, a CSV column 'name', "
            "or JSON with names or COCO categories."
        ) from error


def write_class_file(path: Path | str, table: CategoryTable) -> None:
    """Write a class list as COCO categories (.json), or as lines of text.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if Path(path).suffix.lower() == ".json":
        write_text(path, json.dumps(table.to_records(), indent=2, ensure_ascii=False) + "\n")
    else:
        write_text(path, table.to_text() + "\n")


def _csv_records(text: str) -> list[Any]:
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if not rows:
        return []
    head = [cell.strip().lower() for cell in rows[0]]
    title = next((title for title in _NAME_COLUMNS if title in head), None)
    if title is None:
        return [row[0].strip() for row in rows]
    records = [dict(zip(head, (cell.strip() for cell in row), strict=False)) for row in rows[1:]]
    return [record | {"name": record.pop(title)} for record in records]
