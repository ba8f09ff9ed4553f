"""The categories of a dataset: a name means one thing, and an id never means another."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

from psalm.errors import AnnotationError, StoreError
from psalm.store.history import HistoryTable
from psalm.store.records import StoredCategory

_COLUMNS = "id, is_thing, supercategory, red, green, blue, shortcut"
_SELECT = f"SELECT {_COLUMNS}, name FROM categories JOIN category_names ON category_id = id"


class CategoryTable(HistoryTable):
    """The part of the store that knows the categories."""

    def ensure_category(
        self,
        name: str,
        is_thing: bool = True,
        supercategory: str = "",
        synonyms: Sequence[str] = (),
        colour: tuple[int, int, int] | None = None,
        shortcut: str = "",
        category_id: int | None = None,
    ) -> StoredCategory:
        """The category with this name or synonym, as it is; it is added when there is none.

        Parameters
        ----------
        name : str
        is_thing, supercategory, synonyms, colour, shortcut
            Of a new category; a known one is not changed. Without a colour, the id gives one.
        category_id : int, optional
            Wanted id of a new category; taken when no category ever had it, otherwise the next free one is.

        Raises
        ------
        AnnotationError
            When a name is empty, or a synonym names another category.
        """
        name = _name(name)
        known = self.find_category(name)
        if known:
            return known
        with self.transaction():
            known = self.find_category(name)
            if known:
                return known
            new_id = self._free_id(category_id)
            red, green, blue = _colour(colour_of(new_id) if colour is None else colour)
            self._write(
                f"INSERT INTO categories ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [new_id, bool(is_thing), supercategory, red, green, blue, shortcut],
            )
            self._set_names(new_id, name, synonyms)
            added = self.category(new_id)
            self._remember("category", None, {}, _as_json(added))
            return added

    def categories(self) -> list[StoredCategory]:
        """All categories by id."""
        return _categories(self._rows(f"{_SELECT} ORDER BY id, position"))

    def category(self, category_id: int) -> StoredCategory:
        """The category with this id.

        Raises
        ------
        StoreError
            When there is none; when it was merged, the message says into which.
        """
        found = _categories(self._rows(f"{_SELECT} WHERE id = ? ORDER BY position", [category_id]))
        if not found:
            raise StoreError(f"{self.file} has no category {category_id}{self._fate(category_id)}")
        return found[0]

    def find_category(self, name: str) -> StoredCategory | None:
        """The category with this name or synonym; None when there is none."""
        chosen = "WHERE id = (SELECT category_id FROM category_names WHERE name = ?)"
        found = _categories(self._rows(f"{_SELECT} {chosen} ORDER BY position", [name.strip()]))
        return found[0] if found else None

    def update_category(
        self,
        category_id: int,
        *,
        name: str | None = None,
        is_thing: bool | None = None,
        supercategory: str | None = None,
        synonyms: Sequence[str] | None = None,
        colour: tuple[int, int, int] | None = None,
        shortcut: str | None = None,
    ) -> StoredCategory:
        """Change what is given; the objects of the category keep it, under the same id.

        Raises
        ------
        StoreError
            When there is no such category.
        AnnotationError
            When a name is empty or names another category.
        """
        with self.transaction():
            old = self.category(category_id)
            red, green, blue = _colour(old.colour if colour is None else colour)
            self._write(
                "UPDATE categories SET is_thing = ?, supercategory = ?, red = ?, green = ?, blue = ?, shortcut = ? "
                "WHERE id = ?",
                [
                    old.is_thing if is_thing is None else bool(is_thing),
                    old.supercategory if supercategory is None else supercategory,
                    red,
                    green,
                    blue,
                    old.shortcut if shortcut is None else shortcut,
                    category_id,
                ],
            )
            self._set_names(
                category_id, old.name if name is None else _name(name), old.synonyms if synonyms is None else synonyms
            )
            new = self.category(category_id)
            if new != old:
                self._remember("category", None, _as_json(old), _as_json(new))
            return new

    def merge_categories(self, category_ids: Sequence[int], into: int) -> int:
        """Give the objects of some categories to another one, which takes their names as synonyms.

        Returns
        -------
        int
            How many objects changed their category.
        """
        with self.transaction():
            target = self.category(into)
            gone = [self.category(category_id) for category_id in dict.fromkeys(category_ids) if category_id != into]
            moved = 0
            for category in gone:
                moved += self._write("UPDATE objects SET category_id = ? WHERE category_id = ?", [into, category.id])
                self._retire(category, into)
            names = [name for category in gone for name in (category.name, *category.synonyms)]
            self._set_names(into, target.name, [*target.synonyms, *names])
            if gone:
                before = {"merged": [_as_json(category) for category in gone]}
                self._remember("merge", None, before, {"into": into, "objects": moved})
            return moved

    def remove_category(self, category_id: int) -> None:
        """Remove a category that no object has; its id is not used again.

        Raises
        ------
        StoreError
            When there is no such category, or objects have it.
        """
        with self.transaction():
            category = self.category(category_id)
            if self._row("SELECT 1 FROM objects WHERE category_id = ? LIMIT 1", [category_id]):
                raise StoreError(f"Category {category.name!r} has objects: merge it into another one, or remove them.")
            self._retire(category, None)
            self._remember("category", None, _as_json(category), {})

    def _retire(self, category: StoredCategory, into: int | None) -> None:
        self._write("DELETE FROM categories WHERE id = ?", [category.id])
        self._write("INSERT INTO retired_categories VALUES (?, ?, ?)", [category.id, category.name, into])

    def _fate(self, category_id: int) -> str:
        row = self._row("SELECT name, merged_into FROM retired_categories WHERE id = ?", [category_id])
        if row is None:
            return ": add it with ensure_category()."
        return f": {row[0]!r} was removed." if row[1] is None else f": {row[0]!r} was merged into category {row[1]}."

    def _free_id(self, wanted: int | None) -> int:
        rows = self._rows(
            "SELECT id FROM categories WHERE id = ?1 UNION SELECT id FROM retired_categories WHERE id = ?1", [wanted]
        )
        if wanted is not None and 1 <= wanted < 2**31 and not rows:
            return wanted
        row = self._row("SELECT max(id) FROM (SELECT id FROM categories UNION ALL SELECT id FROM retired_categories)")
        return (row[0] if row and row[0] else 0) + 1

    def _set_names(self, category_id: int, name: str, synonyms: Sequence[str]) -> None:
        names = list(dict.fromkeys([name, *(_name(synonym) for synonym in synonyms)]))
        self._write("DELETE FROM category_names WHERE category_id = ?", [category_id])
        for position, text in enumerate(names):
            other = self._row("SELECT category_id FROM category_names WHERE name = ?", [text])
            if other:
                raise AnnotationError(f"{text!r} names category {other[0]} already: merge the two, or choose another.")
            self._write("INSERT INTO category_names VALUES (?, ?, ?)", [text, category_id, position])


def colour_of(category_id: int) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a category that was given no colour: hues a golden angle apart."""
    hue = (0.53 + (category_id - 1) * 0.618034) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _name(name: str) -> str:
    if not name.strip():
        raise AnnotationError("A category has an empty name: give it one.")
    return name.strip()


def _colour(colour: Sequence[int]) -> tuple[int, int, int]:
    values = tuple(int(value) for value in colour)
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise AnnotationError(f"The colour {tuple(colour)} is not usable: give red, green and blue from 0 to 255.")
    return values[0], values[1], values[2]


def _categories(rows: Sequence[tuple[Any, ...]]) -> list[StoredCategory]:
    """Rows are one per name, the names of a category in their order."""
    names: dict[tuple[Any, ...], list[str]] = {}
    for *columns, name in rows:
        names.setdefault(tuple(columns), []).append(name)
    return [
        StoredCategory(row[0], own[0], bool(row[1]), row[2], tuple(own[1:]), row[3:6], row[6])
        for row, own in names.items()
    ]


def _as_json(category: StoredCategory) -> dict[str, Any]:
    return vars(category) | {"synonyms": list(category.synonyms), "colour": list(category.colour)}
