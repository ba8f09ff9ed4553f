"""The class list: categories with stable ids, colours, synonyms and shortcuts, from typed lines or a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_psalm.core.class_style import ClassStyle, colour_of
from psalm.annotations import Category
from psalm.conditions import CategoryCondition
from psalm.errors import ConditionError
from psalm.known_names import KnownNames

FILE_KINDS = "Class lists (*.txt *.csv *.json)"
NO_CATEGORY = "object"
"""The class of what has none."""
_STUFF = re.compile(r"\s*\((stuff|thing)\)\s*$", re.IGNORECASE)
_OR = re.compile(r"\s+/\s+")


@dataclass(frozen=True)
class CategoryTable:
    """The categories of a class list in their order; ids and styles are kept when the list is edited.

    Parameters
    ----------
    categories : tuple of Category
    styles : mapping of int to ClassStyle
        Colour, synonyms and shortcut by the id of the category, where they were chosen.
    """

    categories: tuple[Category, ...] = ()
    styles: Mapping[int, ClassStyle] = field(default_factory=dict, hash=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in order."""
        return tuple(category.name for category in self.categories)

    def condition(self) -> CategoryCondition:
        """What the model is asked: every name, then every synonym.

        Raises
        ------
        ConditionError
            When the list is empty.
        """
        if not self.categories:
            raise ConditionError("The class list is empty: write one class per line, for example 'coin'.")
        asked = [(category.name, category.is_thing) for category in self.categories]
        asked += [(name, c.is_thing) for c in self.categories for name in self.style(c.id).synonyms]
        return CategoryCondition(tuple(name for name, _ in asked), tuple(is_thing for _, is_thing in asked))

    def canonical(self, name: str) -> str:
        """The name of the class that a name or synonym means; the name itself when it is not in the list."""
        return next((c.name for c in self.categories if name in (c.name, *self.style(c.id).synonyms)), name)

    def id_of(self, name: str) -> int:
        """The id of a name; 0 when it is not in the list."""
        return next((category.id for category in self.categories if category.name == name), 0)

    def unknown(self, known: KnownNames) -> tuple[str, ...]:
        """The classes that a model was not trained on, neither by their name nor by a synonym."""
        return tuple(c.name for c in self.categories if not any(map(known.knows, (c.name, *self.style(c.id).synonyms))))

    def style(self, category_id: int) -> ClassStyle:
        """Colour, synonyms and shortcut that were chosen for a category."""
        return self.styles.get(category_id, ClassStyle())

    def colour_of(self, name: str) -> tuple[float, float, float]:
        """Red, green and blue, 0 to 1; grey for what is not in the list."""
        number = self.id_of(name)
        return self.style(number).colour or colour_of(number)

    def shortcut_of(self, name: str) -> int:
        """The digit, 1 to 9, that gives this class; 0 for none. Who has none chosen takes those left over, in order."""
        chosen = {self.style(c.id).shortcut for c in self.categories} - {0}
        free = iter([digit for digit in range(1, 10) if digit not in chosen])
        for category in self.categories:
            digit = self.style(category.id).shortcut or next(free, 0)
            if category.name == name:
                return digit
        return 0

    def name_of_shortcut(self, digit: int) -> str | None:
        """The class that a digit gives; None for none."""
        return next((name for name in self.names if self.shortcut_of(name) == digit), None)

    def styled(self, name: str, **changes: Any) -> CategoryTable:
        """This table with another colour, synonyms or shortcut of one class; a shortcut is taken from who had it."""
        number = self.id_of(name)
        styles = dict(self.styles)
        if changes.get("shortcut"):
            for other, style in styles.items():
                if style.shortcut == changes["shortcut"]:
                    styles[other] = replace(style, shortcut=0)
        styles[number] = replace(self.style(number), **changes)
        return CategoryTable(self.categories, styles)

    def with_names(self, names: Iterable[str]) -> CategoryTable:
        """This table with the names that it lacks appended, in their order and with new ids."""
        missing = [name for name in dict.fromkeys(names) if not self.id_of(name)]
        top = max((category.id for category in self.categories), default=0)
        fresh = (Category(top + i, name) for i, name in enumerate(missing, start=1))
        return CategoryTable((*self.categories, *fresh), self.styles)

    def to_text(self) -> str:
        """One line per class, as `from_text` reads it."""
        lines = [" / ".join([c.name, *self.style(c.id).synonyms]) for c in self.categories]
        return "\n".join(
            line + ("" if c.is_thing else " (stuff)") for line, c in zip(lines, self.categories, strict=True)
        )

    @classmethod
    def from_text(cls, text: str, before: CategoryTable | None = None) -> CategoryTable:
        """Read typed names: one per line, or between commas.

        ``(stuff)`` after a name marks what is not countable, ``nucleus / nuclei`` gives a class another name.

        Parameters
        ----------
        text : str
            The names.
        before : CategoryTable, optional
            The table that was edited; names that stay keep their ids and styles.

        Raises
        ------
        ConditionError
            When a name is repeated.
        """
        lines = [line.strip() for line in re.split(r"[\n,;]", text)]
        return cls._numbered([line for line in lines if line], before or cls())

    def to_records(self) -> list[dict[str, Any]]:
        """The categories as a COCO file has them, with what was chosen of colour, synonyms and shortcut."""
        return [
            {"id": c.id, "name": c.name, "isthing": int(c.is_thing), "supercategory": c.supercategory}
            | self.style(c.id).to_record()
            for c in self.categories
        ]

    @classmethod
    def from_records(cls, records: Iterable[Any]) -> CategoryTable:
        """Read names, or categories as a COCO file or a CSV table has them; those without an id get the next."""
        entries = list(records)
        if all(isinstance(entry, str) for entry in entries):
            return cls._numbered(entries, cls())
        top = max((int(entry["id"]) for entry in entries if entry.get("id")), default=0)
        categories, styles = [], {}
        for entry in entries:
            number = int(entry.get("id") or 0)
            if not number:
                number = top = top + 1
            categories.append(
                Category(number, str(entry["name"]), _is_thing(entry), str(entry.get("supercategory") or ""))
            )
            style = ClassStyle.from_record(entry)
            if style != ClassStyle():
                styles[number] = style
        table = cls(tuple(categories), styles)
        if categories:
            table.condition()
        return table

    @classmethod
    def from_file(cls, path: Path | str) -> CategoryTable:
        """Read a class list.

        Lines of text; a CSV file with a column ``name`` (or one column), and ``id``, ``isthing``, ``supercategory``,
        ``synonyms`` (between ``|``), ``colour`` and ``shortcut`` where it has them; a JSON list of names or of COCO
        categories; or a COCO file.

        Raises
        ------
        ConditionError
            When the file cannot be read as a class list.
        """
        from napari_psalm.core.class_files import read_class_file

        return read_class_file(Path(path))

    @classmethod
    def _numbered(cls, lines: list[str], before: CategoryTable) -> CategoryTable:
        top = max((category.id for category in before.categories), default=0)
        categories: list[Category] = []
        styles: dict[int, ClassStyle] = {}
        for line in lines:
            mark, (name, *synonyms) = _STUFF.search(line), _OR.split(_STUFF.sub("", line))
            number = before.id_of(name)
            if not number:
                number = top = top + 1
            old = next((c for c in before.categories if c.id == number), Category(number, name))
            categories.append(replace(old, is_thing=mark is None or mark[1].lower() != "stuff"))
            style = replace(before.style(number), synonyms=tuple(synonyms))
            if style != ClassStyle():
                styles[number] = style
        table = cls(tuple(categories), styles)
        if categories:
            table.condition()
        return table


def _is_thing(entry: Mapping[str, Any]) -> bool:
    value = entry.get("isthing", entry.get("is_thing"))
    if value in (None, ""):
        return str(entry.get("kind", "thing")).strip().lower() != "stuff"
    return str(value).strip().lower() not in ("0", "false", "no", "stuff")
