"""Files that are opened, refused, migrated, full, or may not be written."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from psalm.errors import OutputError, StoreError
from psalm.store import AnnotationStore, ImageState, opening
from psalm.store.schema import MIGRATIONS
from tests.psalm.store.builders import SIZE, box, by_hand, by_model

RELEASED = Path(__file__).with_name("schema_1.sql")
ROOT = Path(__file__).resolve().parents[3]


def run_python(program: str, *arguments: object) -> str:
    """Standard output of a fresh interpreter."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout


def test_a_store_is_made_once(store, dataset, tmp_path):
    with pytest.raises(StoreError, match="exists already"):
        AnnotationStore.create(dataset, tmp_path / "images")
    assert store.find_category("cell")
    assert sorted(path.name for path in dataset.iterdir()) == ["psalm.db", "psalm.db-shm", "psalm.db-wal"]


def test_open_or_create_makes_a_store_or_opens_the_one_of_the_same_images(tmp_path):
    assert not AnnotationStore.exists(tmp_path / "dataset")
    for expected in ([], ["cell"]):
        with AnnotationStore.open_or_create(tmp_path / "dataset", tmp_path) as store:
            assert [category.name for category in store.categories()] == expected
            store.ensure_category("cell")
    assert [path.name for path in (tmp_path / "dataset").iterdir()] == ["psalm.db"]
    with pytest.raises(StoreError, match="belongs to the images below"):
        AnnotationStore.open_or_create(tmp_path / "dataset", tmp_path / "other")


def test_a_missing_store_is_named_and_not_made(tmp_path):
    with pytest.raises(StoreError, match="no annotation store"):
        AnnotationStore.open(tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"x" * 4096])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_store_is_refused_and_kept(tmp_path, content, read_only):
    (tmp_path / "psalm.db").write_bytes(content)
    with pytest.raises(StoreError, match="not an annotation store"):
        AnnotationStore.open(tmp_path, read_only)
    assert (tmp_path / "psalm.db").read_bytes() == content


def test_somebody_elses_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "psalm.db")
    connection.execute("CREATE TABLE images (id INTEGER)")
    connection.close()
    with pytest.raises(StoreError, match="not an annotation store of psalm"):
        AnnotationStore.open(tmp_path)


def test_a_cut_file_is_refused(store, dataset):
    with store.transaction():
        for number in range(500):
            store.ensure_image(f"{number}.png", 0, *SIZE)
    store.close()
    whole = (dataset / "psalm.db").read_bytes()
    (dataset / "psalm.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged"), AnnotationStore.open(dataset) as cut:
        list(cut.images())


def test_a_newer_schema_is_refused(store, dataset):
    store.close()
    connection = sqlite3.connect(dataset / "psalm.db")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(StoreError, match="newer psalm"):
            AnnotationStore.open(dataset, read_only)


def released_store(folder: Path) -> None:
    """A store as schema 1 wrote it, from its dump."""
    connection = sqlite3.connect(folder / "psalm.db")
    connection.executescript(RELEASED.read_text(encoding="utf-8"))
    connection.execute(f"PRAGMA application_id = {0x7073616C}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def test_a_file_of_schema_1_is_opened_with_all_it_holds(tmp_path):
    released_store(tmp_path)
    with AnnotationStore.open(tmp_path) as store:
        (image,) = store.images(ImageState.IN_REVIEW)
        assert (image.path, image.page, image.size, image.content_hash) == ("plate/ü.tif", 2, SIZE, "f00d")
        drawn, edited = store.objects(image.id)
        assert (drawn.mask() == box(0, 0, 2, 2)).all()
        assert (edited.provenance.origin, edited.provenance.edited_pixels) == ("both", 3)
        assert edited.provenance.prompt == {"kind": "sentence", "text": "the round one"}
        assert store.find_category("cells").id == 1
        assert [change.action for change in store.history(image.id)] == ["add", "update", "state"]
        assert store.ensure_category("new", category_id=2).id == 3
        store.add_objects(image.id, [by_hand(3, 3, 4, 4)])


NEXT_STEP = (
    "ALTER TABLE images ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY)",
)


def test_an_older_file_is_brought_up_to_date(tmp_path, monkeypatch):
    released_store(tmp_path)
    monkeypatch.setattr(opening, "MIGRATIONS", (*MIGRATIONS, NEXT_STEP))
    with pytest.raises(StoreError, match="open it for writing once"):
        AnnotationStore.open(tmp_path, read_only=True)
    with AnnotationStore.open(tmp_path) as store:
        assert store._rows("SELECT note FROM images") == [("none",)]
        assert store._rows("PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    with AnnotationStore.open(tmp_path, read_only=True) as store:
        assert len(store.objects(1)) == 2


def test_a_step_that_fails_leaves_the_older_file_whole(tmp_path, monkeypatch):
    released_store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(opening, "MIGRATIONS", (*MIGRATIONS, (*NEXT_STEP, "CREATE TABLE images (id)")))
        with pytest.raises(StoreError, match="images already exists"):
            AnnotationStore.open(tmp_path)
    with AnnotationStore.open(tmp_path) as store:
        assert len(store.objects(1)) == 2
        assert store._rows("SELECT name FROM sqlite_master WHERE name = 'notes'") == []


def test_a_reader_changes_nothing(store, dataset):
    with AnnotationStore.open(dataset, read_only=True) as reader:
        for change in (
            lambda: reader.ensure_category("new"),
            lambda: reader.set_state(1, ImageState.VERIFIED),
            lambda: reader.add_objects(1, [by_hand(0, 0, 1, 1)]),
        ):
            with pytest.raises(OutputError, match="opened for reading only"):
                change()
        assert reader.ensure_category("cell").id == 1
        store.set_state(1, ImageState.VERIFIED)
        assert reader.image(1).state is ImageState.VERIFIED


def test_a_closed_store_says_so(store):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        store.counts()


def test_a_full_store_keeps_what_it_had(store):
    store.add_objects(1, [by_model(0, 0, 1, 1)])
    (pages,) = store._row("PRAGMA page_count")
    store._execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError, match="no room left"), store.transaction():
        for number in range(1000):
            store.ensure_image(f"{number}.png", 0, *SIZE)
    assert (len(store.image_ids()), len(store.objects(1))) == (1, 1)
    store._execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.ensure_image("b.png", 0, *SIZE)


def test_nothing_is_written_after_sqlite_broke_a_transaction_off(store):
    with pytest.raises(StoreError, match="broken off"), store.transaction():
        store.ensure_image("b.png", 0, *SIZE)
        # What SQLite does by itself when the disk is full.
        store._connection.execute("ROLLBACK")
        with pytest.raises(StoreError, match="broken off"):
            store.ensure_image("late.png", 0, *SIZE)
        with pytest.raises(StoreError, match="broken off"), store.transaction():
            pass
        store._write("DELETE FROM images")
    assert [image.path for image in store.images()] == ["a.png"]
    store.ensure_image("b.png", 0, *SIZE)


LIMITED = """
import resource, sys
from psalm.errors import OutputError
from psalm.store import AnnotationStore
with AnnotationStore.open(sys.argv[1]) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    try:
        for number in range(100_000):
            store.ensure_image(f"{number:08}.png", 0, 4, 4)
    except OutputError as error:
        print(number, error, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are Unix's")
def test_a_file_that_may_not_grow_is_a_clear_error_and_loses_nothing(store, dataset):
    store.close()
    number, message = run_python(LIMITED, dataset).split(" ", 1)
    assert int(number) > 10
    assert "psalm.db cannot be" in message
    with AnnotationStore.open(dataset) as again:
        assert len(again.image_ids()) == int(number) + 1
        assert again._rows("PRAGMA integrity_check") == [("ok",)]


READ_ONLY_FOLDER = """
import json, os, sys
from psalm.coco.rle import encode_mask
from psalm.errors import OutputError
from psalm.store import AnnotationStore
if os.getuid() == 0:
    os.setuid(65534)
told = []
for attempt in (
    lambda: AnnotationStore.open(sys.argv[1]).ensure_category("new"),
    lambda: AnnotationStore.create(sys.argv[1] + "/below", "."),
):
    try:
        attempt()
    except OutputError as error:
        told.append(str(error))
with AnnotationStore.open(sys.argv[1], read_only=True) as store:
    print(json.dumps([told, [image.path for image in store.images()]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of folders are Unix's")
def test_a_read_only_folder_can_be_read_and_says_so_to_writers(store, dataset):
    store.close()
    # The owner may be root, whom permissions do not stop, so the program becomes another user.
    for folder in (dataset, *dataset.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(0o755)
    (dataset / "psalm.db").chmod(0o444)
    dataset.chmod(0o555)
    try:
        told, paths = json.loads(run_python(READ_ONLY_FOLDER, dataset))
    finally:
        dataset.chmod(0o755)
    assert paths == ["a.png"]
    assert len(told) == 2
    assert "psalm.db cannot be" in told[0]
    assert "choose a folder you may write to" in told[1]


def test_a_copy_is_whole_while_the_store_is_written(store, tmp_path):
    store.add_objects(1, [by_model(0, 0, 1, 1)])
    with AnnotationStore.open(store.dataset, read_only=True) as reader, store.transaction():
        store.add_objects(1, [by_hand(1, 1, 2, 2)])
        reader.copy(tmp_path / "backup")
    with AnnotationStore.open(tmp_path / "backup") as copied:
        assert copied.objects(1) == store.objects(1)[:1]
        assert copied.image_root == store.image_root
        copied.add_objects(1, [by_hand(1, 1, 2, 2)])
    with pytest.raises(StoreError, match="exists already"):
        store.copy(tmp_path / "backup")
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["psalm.db"]


def test_remains_of_a_removed_store_do_not_get_into_a_new_one(store, dataset, tmp_path):
    (dataset / "psalm.db").unlink()
    for make in (AnnotationStore.create, AnnotationStore.open_or_create):
        with pytest.raises(StoreError, match=r"remove psalm\.db-wal, psalm\.db-shm as well"):
            make(dataset, tmp_path / "images")
