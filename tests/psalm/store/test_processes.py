"""Several processes at one store, and processes that are killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from psalm.store import AnnotationStore, ImageState
from tests.psalm.store.builders import SIZE, by_model

ROOT = Path(__file__).resolve().parents[3]
WRITER = """
import sys
from psalm.store import AnnotationStore, ImageState
from tests.psalm.store.builders import by_hand, by_model
dataset, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
with AnnotationStore.open(dataset, actor=name) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(rounds):
        image = store.ensure_image(f"{number:03}.png", 0, 5, 7)
        with store.transaction():
            count = store.setting("count", 0)
            store.add_objects(image.id, [by_model(0, 0, 1, 1), by_hand(1, 1, 2, 2)])
            store.set_setting("count", count + 1)
            store.set_state(image.id, ImageState.PREDICTED)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A fresh interpreter that has said that it is ready, and waits for a line."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_writers_and_a_reader_lose_nothing(store, dataset):
    rounds = 40
    writers = [start(WRITER, dataset, name, rounds) for name in ("one", "two")]
    for writer in writers:
        go(writer)
    with AnnotationStore.open(dataset, read_only=True) as reader:
        while any(writer.poll() is None for writer in writers):
            with reader.snapshot():
                objects = reader.object_count()
                assert objects == 2 * reader.setting("count", 0)
                assert objects % 2 == 0
            time.sleep(0.01)
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert store.setting("count") == 2 * rounds
    assert store.object_count() == 4 * rounds
    assert store.counts()[ImageState.PREDICTED] == rounds
    for image in store.images(ImageState.PREDICTED):
        adders = [change.actor for change in store.history(image.id) if change.action == "add"]
        assert sorted(adders) == ["one", "two"]


def test_a_writer_waits_for_a_long_transaction(store, dataset):
    writer = start(WRITER, dataset, "one", 1)
    with store.transaction():
        go(writer)
        time.sleep(0.5)
        assert writer.poll() is None
        assert store.object_count() == 0
    assert writer.wait(timeout=120) == 0
    assert store.object_count() == 2


def test_stores_that_are_made_at_once_are_one(tmp_path):
    program = """
import sys
from psalm.store import AnnotationStore
print("ready", flush=True)
sys.stdin.readline()
with AnnotationStore.open_or_create(sys.argv[1] + "/dataset", sys.argv[1]) as store:
    store.ensure_category(sys.argv[2])
    store.ensure_category("both")
"""
    makers = [start(program, tmp_path, name) for name in ("one", "two")]
    for maker in makers:
        go(maker)
    assert [maker.wait(timeout=120) for maker in makers] == [0, 0]
    with AnnotationStore.open(tmp_path / "dataset") as store:
        assert sorted(category.name for category in store.categories()) == ["both", "one", "two"]


IN_TRANSACTION = """
import sys, time
from psalm.store import AnnotationStore, ImageState
from tests.psalm.store.builders import by_model
with AnnotationStore.open(sys.argv[1]) as store, store.transaction():
    store.add_objects(1, [by_model(0, 0, 1, 1) for _ in range(3000)])
    store.set_state(1, ImageState.VERIFIED)
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_process_killed_in_a_transaction_leaves_the_store_as_it_was(store, dataset):
    store.add_objects(1, [by_model(0, 0, 2, 2)])
    before, history = store.objects(1), store.history()
    process = start(IN_TRANSACTION, dataset)
    process.kill()
    process.wait(timeout=60)
    with AnnotationStore.open(dataset) as again:
        assert (again.objects(1), again.image(1).state, again.history()) == (before, ImageState.TODO, history)
        assert again._rows("PRAGMA integrity_check") == [("ok",)]
        again.add_objects(1, [by_model(0, 0, 1, 1)])
    assert len(store.objects(1)) == 2


@pytest.mark.parametrize("seconds", [0.02, 0.2])
def test_a_process_killed_at_any_moment_leaves_whole_transactions(store, dataset, seconds):
    writer = start(WRITER, dataset, "one", 100_000)
    go(writer)
    deadline = time.monotonic() + 60
    while not store.setting("count") and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(seconds)
    writer.kill()
    writer.wait(timeout=60)
    done = store.setting("count")
    assert done > 0
    assert store.object_count() == 2 * done
    assert store.counts()[ImageState.PREDICTED] == done
    assert store._rows("PRAGMA integrity_check") == [("ok",)]
    assert store._rows("PRAGMA foreign_key_check") == []


def test_threads_may_share_a_store(store):
    images = [store.ensure_image(f"{number}.png", 0, *SIZE) for number in range(4)]
    errors: list[BaseException] = []

    def work(image_id: int) -> None:
        try:
            for _ in range(20):
                with store.transaction():
                    store.add_objects(image_id, [by_model(0, 0, 1, 1)])
                    assert len(store.objects(image_id)) == store.setting(str(image_id), 0) + 1
                    store.set_setting(str(image_id), len(store.objects(image_id)))
        except BaseException as error:  # noqa: BLE001 - a thread's failure is shown by the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=[image.id]) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [len(store.objects(image.id)) for image in images] == [20] * 4
