"""The tables of a store, and how older files become current ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

# Written into the file's header ("psal"), so that nobody else's database is taken for ours.
APPLICATION_ID = 0x7073616C

# A step is a list of statements. Step n makes version n out of version n - 1, so a new store is an empty file after all
# steps. A step that was ever released is never changed: whoever needs another table or column adds a step.
_FIRST = (
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # AUTOINCREMENT: an id that was used once never names another thing.
    """CREATE TABLE images (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path TEXT NOT NULL,
        page INTEGER NOT NULL CHECK (page >= 0),
        height INTEGER NOT NULL CHECK (height >= 0),
        width INTEGER NOT NULL CHECK (width >= 0),
        content_hash TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('todo', 'predicted', 'in_review', 'verified', 'skipped', 'failed')),
        error TEXT NOT NULL DEFAULT '',
        UNIQUE (path, page)
    )""",
    "CREATE INDEX images_by_state ON images (state, path, page)",
    "CREATE INDEX images_by_content ON images (content_hash)",
    """CREATE TABLE categories (
        id INTEGER PRIMARY KEY CHECK (id > 0),
        is_thing INTEGER NOT NULL,
        supercategory TEXT NOT NULL,
        red INTEGER NOT NULL,
        green INTEGER NOT NULL,
        blue INTEGER NOT NULL,
        shortcut TEXT NOT NULL
    )""",
    # Position 0 is the name, the others are synonyms; one key for all, so that a name never means two categories.
    """CREATE TABLE category_names (
        name TEXT PRIMARY KEY,
        category_id INTEGER NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        UNIQUE (category_id, position)
    ) WITHOUT ROWID""",
    # Importers may ask for any id, so the largest one used does not tell which are free.
    "CREATE TABLE retired_categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL, merged_into INTEGER)",
    # What was asked of which weights: thousands of objects share a row.
    """CREATE TABLE sources (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        model TEXT NOT NULL,
        weights TEXT NOT NULL,
        prompt TEXT NOT NULL,
        thresholds TEXT NOT NULL
    )""",
    """CREATE TABLE objects (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        category_id INTEGER NOT NULL REFERENCES categories (id),
        score REAL,
        area INTEGER NOT NULL CHECK (area > 0),
        row0 INTEGER NOT NULL,
        column0 INTEGER NOT NULL,
        row1 INTEGER NOT NULL,
        column1 INTEGER NOT NULL,
        origin TEXT NOT NULL CHECK (origin IN ('model', 'hand', 'both')),
        source_id INTEGER NOT NULL REFERENCES sources (id),
        edited_pixels INTEGER NOT NULL CHECK (edited_pixels >= 0),
        edited_at TEXT NOT NULL,
        rle BLOB NOT NULL
    )""",
    "CREATE INDEX objects_by_image ON objects (image_id)",
    "CREATE INDEX objects_by_category ON objects (category_id)",
    """CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        image_id INTEGER,
        before TEXT NOT NULL,
        after TEXT NOT NULL
    )""",
    "CREATE INDEX history_by_image ON history (image_id)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)


def apply_steps(connection: sqlite3.Connection, version: int, migrations: Sequence[Sequence[str]]) -> None:
    """Take the steps behind `version`; to be called inside a transaction."""
    for step in migrations[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
