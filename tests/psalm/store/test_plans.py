"""What is read costs what it returns: no query walks through a table or sorts it."""

from __future__ import annotations

import pytest

from psalm.store import ImageState
from tests.psalm.store.builders import by_model


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.objects(1),
        lambda store: store.object(1),
        lambda store: list(store.objects_of(1)),
        lambda store: store.image(1),
        lambda store: store.find_image("a.png"),
        lambda store: next(store.images()),
        lambda store: next(store.images(ImageState.TODO)),
        lambda store: next(store.images(after=store.image(1)), None),
        lambda store: store.image_ids(ImageState.TODO),
        lambda store: store.history(1),
        lambda store: store.history(limit=5),
        lambda store: store.find_category("cell"),
        lambda store: store.unreviewed(1),
        lambda store: store.replace_unreviewed(1, [by_model(0, 0, 1, 1)]),
    ],
)
def test_a_listing_uses_an_index(store, read):
    store.add_objects(1, [by_model(0, 0, 1, 1)])
    asked: list[str] = []
    store._connection.set_trace_callback(asked.append)
    read(store)
    store._connection.set_trace_callback(None)
    asked = [text for text in asked if text.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert asked
    for text in asked:
        plan = "; ".join(row[3] for row in store._rows(f"EXPLAIN QUERY PLAN {text}"))
        # The latest changes are the end of the history, which a scan backwards with a limit reads.
        assert "SCAN" not in plan or plan == "SCAN history", (text, plan)
        assert "TEMP B-TREE" not in plan, (text, plan)


def test_counts_read_an_index_alone(store):
    for text in ("SELECT state, count(*) FROM images GROUP BY state", "SELECT count(*) FROM objects"):
        asked: list[str] = []
        store._connection.set_trace_callback(asked.append)
        store.counts()
        store.object_count()
        store._connection.set_trace_callback(None)
        assert text in [found.strip() for found in asked]
        (plan,) = [row[3] for row in store._rows(f"EXPLAIN QUERY PLAN {text}")]
        assert "COVERING INDEX" in plan
