"""The class list: categories with stable ids and colours, from typed lines or a file."""

from __future__ import annotations

import colorsys
import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psalm.annotations import Category
from psalm.conditions import CategoryCondition
from psalm.errors import ConditionError

FILE_KINDS = "Class lists (*.txt *.csv *.json)"
NO_CATEGORY = "object"
"""The class of what has none."""
_STUFF = re.compile(r"\s*\((stuff|thing)\)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class CategoryTable:
    """The categories of a class list in their order; ids are kept when the list is edited."""

    categories: tuple[Category, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names in order."""
        return tuple(category.name for category in self.categories)

    def condition(self) -> CategoryCondition:
        """What the model is asked.

        Raises
        ------
        ConditionError
            When the list is empty.
        """
        if not self.categories:
            raise ConditionError("The class list is empty: write one class per line, for example 'coin'.")
        return CategoryCondition(self.names, tuple(category.is_thing for category in self.categories))

    def id_of(self, name: str) -> int:
        """The id of a name; 0 when it is not in the list."""
        return next((category.id for category in self.categories if category.name == name), 0)

    def with_names(self, names: Iterable[str]) -> CategoryTable:
        """This table with the names that it lacks appended, in their order and with new ids."""
        missing = [name for name in dict.fromkeys(names) if not self.id_of(name)]
        top = max((category.id for category in self.categories), default=0)
        return CategoryTable((*self.categories, *(Category(top + i, name) for i, name in enumerate(missing, start=1))))

    def to_text(self) -> str:
        """One line per class, as `from_text` reads it."""
        return "\n".join(category.name + ("" if category.is_thing else " (stuff)") for category in self.categories)

    @classmethod
    def from_text(cls, text: str, before: CategoryTable | None = None) -> CategoryTable:
        """Read typed names: one per line, or between commas; ``(stuff)`` after a name marks what is not countable.

        Parameters
        ----------
        text : str
            The names.
        before : CategoryTable, optional
            The table that was edited; names that stay keep their ids.

        Raises
        ------
        ConditionError
            When a name is repeated.
        """
        lines = [line.strip() for line in re.split(r"[\n,;]", text)]
        return cls._numbered([line for line in lines if line], before or cls())

    def to_records(self) -> list[dict[str, Any]]:
        """The categories as a COCO file has them."""
        return [
            {"id": c.id, "name": c.name, "isthing": int(c.is_thing), "supercategory": c.supercategory}
            for c in self.categories
        ]

    @classmethod
    def from_records(cls, records: Iterable[Any]) -> CategoryTable:
        """Read names, or categories as a COCO file has them."""
        entries = list(records)
        if all(isinstance(entry, str) for entry in entries):
            return cls._numbered(entries, cls())
        return cls(
            tuple(
                Category(int(e["id"]), str(e["name"]), bool(e.get("isthing", 1)), str(e.get("supercategory", "")))
                for e in entries
            )
        )

    @classmethod
    def from_file(cls, path: Path | str) -> CategoryTable:
        """Read a class list: lines of text, the first column or the column `name` of a CSV file, a JSON list of names
        or of COCO categories, or a COCO file.

        Raises
        ------
        ConditionError
            When the file cannot be read as a class list.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
            if path.suffix.lower() == ".json":
                value = json.loads(text)
                return cls.from_records(value["categories"] if isinstance(value, dict) else value)
            if path.suffix.lower() == ".csv":
                return cls._numbered(_csv_names(text), cls())
            return cls.from_text(text.replace(",", "\n"))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ConditionError(
                f"{path.name} is not a class list ({error}): use one name per line, a CSV column 'name', "
                "or JSON with names or COCO categories."
            ) from error

    @classmethod
    def _numbered(cls, lines: list[str], before: CategoryTable) -> CategoryTable:
        top = max((category.id for category in before.categories), default=0)
        categories: list[Category] = []
        for line in lines:
            mark, name = _STUFF.search(line), _STUFF.sub("", line)
            number = before.id_of(name)
            if not number:
                number = top = top + 1
            categories.append(Category(number, name, mark is None or mark[1].lower() != "stuff"))
        if categories:
            CategoryCondition(tuple(category.name for category in categories))
        return cls(tuple(categories))


def colour_of(category_id: int) -> tuple[float, float, float]:
    """Red, green and blue, 0 to 1, of a category: hues a golden angle apart; grey for 0, no category."""
    if category_id == 0:
        return (0.75, 0.75, 0.75)
    hue = (0.53 + (category_id - 1) * 0.618034) % 1.0
    return colorsys.hsv_to_rgb(hue, 0.65, 0.95)


def _csv_names(text: str) -> list[str]:
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if not rows:
        return []
    head = [cell.strip().lower() for cell in rows[0]]
    column = next((head.index(title) for title in ("name", "class", "category", "label") if title in head), None)
    return [row[column or 0].strip() for row in (rows if column is None else rows[1:])]
