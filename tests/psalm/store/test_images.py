from __future__ import annotations

import pytest

from psalm.errors import ImageError, StoreError
from psalm.store import AnnotationStore, ImageState, content_hash
from tests.psalm.store.builders import by_hand


def test_an_image_is_added_once_and_keeps_its_id(store):
    first = store.ensure_image("plate 1/ü.tif", 3, 10, 20, "beef")
    assert (first.path, first.page, first.size, first.content_hash) == ("plate 1/ü.tif", 3, (10, 20), "beef")
    assert (first.state, first.error) == (ImageState.TODO, "")
    assert store.ensure_image("plate 1/ü.tif", 3, 10, 20, "beef") == first
    assert store.ensure_image("plate 1/ü.tif", 4, 10, 20, "beef").id == first.id + 1
    assert store.find_image("plate 1/ü.tif", 5) is None
    assert [found.page for found in store.find_content("beef")] == [3, 4]


def test_what_was_not_known_of_an_image_is_filled_in_and_what_was_known_stays(store):
    image = store.ensure_image("b.png")
    assert (image.size, image.content_hash) == ((0, 0), "")
    assert store.ensure_image("b.png", content_hash="beef").content_hash == "beef"
    filled = store.ensure_image("b.png", 0, 4, 5, "dead")
    assert (filled.id, filled.size, filled.content_hash) == (image.id, (4, 5), "beef")
    assert store.ensure_image("b.png", 0, 40, 50).size == (4, 5)


def test_images_come_ordered_by_path_and_page_and_by_state(store):
    for path, page in [("c.tif", 10), ("c.tif", 2), ("b/z.png", 0)]:
        store.ensure_image(path, page, 4, 4)
    expected = [("a.png", 0), ("b/z.png", 0), ("c.tif", 2), ("c.tif", 10)]
    assert [(image.path, image.page) for image in store.images()] == expected
    assert [store.image(image_id).path for image_id in store.image_ids()] == [path for path, _ in expected]
    store.set_state(store.find_image("c.tif", 2).id, ImageState.VERIFIED)
    store.set_state(1, ImageState.VERIFIED)
    assert [image.path for image in store.images(ImageState.VERIFIED)] == ["a.png", "c.tif"]
    assert store.image_ids(ImageState.VERIFIED) == [1, store.find_image("c.tif", 2).id]
    behind = store.images(after=store.find_image("b/z.png"))
    assert [(image.path, image.page) for image in behind] == expected[2:]


def test_a_long_listing_is_whole_while_states_change(store):
    with store.transaction():
        for number in range(2500):
            store.ensure_image(f"{number:04}.png", 0, 4, 4)
    seen = []
    for image in store.images(ImageState.TODO):
        seen.append(image.path)
        if image.id % 100 == 0:
            store.set_state(image.id, ImageState.SKIPPED)
    assert seen == sorted(seen)
    assert len(set(seen)) == len(seen) == 2501
    assert store.counts()[ImageState.SKIPPED] == 25


def test_counts_name_every_state(store):
    assert store.counts() == {state: int(state is ImageState.TODO) for state in ImageState}
    store.set_state(1, ImageState.FAILED, "the file is cut")
    assert store.counts()[ImageState.FAILED] == 1
    assert store.image(1).error == "the file is cut"
    store.set_state(1, "todo")
    assert store.image(1).error == ""


@pytest.mark.parametrize(
    "path",
    ["", ".", "/etc/passwd", "../a.png", "a/../../b.png", "C:\\a.png", "..\\a.png", "\\\\host\\a.png", "a\0.png"],
)
def test_a_path_that_leaves_the_root_is_refused(store, path):
    with pytest.raises(ImageError, match="inside the image root"):
        store.ensure_image(path, 0, 4, 4)
    assert len(store.image_ids()) == 1


def test_a_file_name_that_is_not_unicode_is_refused(store):
    with pytest.raises(ImageError, match="rename the file"):
        store.ensure_image("caf\udce9.png", 0, 4, 4)


@pytest.mark.parametrize("numbers", [(-1, 4, 4), (0, -4, 4), (0, 4, 0), (0, 2**16, 2**16), (2**40, 4, 4)])
def test_absurd_numbers_are_refused(store, numbers):
    with pytest.raises(ImageError, match="not usable"):
        store.ensure_image("b.png", *numbers)


def test_detours_of_a_path_are_taken_out(store):
    assert store.ensure_image("./b//c.png", 0, 4, 4).path == "b/c.png"
    assert store.ensure_image("b/./c.png").id == 2


def test_a_moved_file_keeps_its_image(store):
    moved = store.update_image(1, path="new/a.png")
    assert (moved.id, moved.path, moved.content_hash) == (1, "new/a.png", "f00d")
    assert store.history(1)[-1].before["path"] == "a.png"
    store.ensure_image("b.png", 0, 4, 4)
    with pytest.raises(StoreError, match="is image 2 already"):
        store.update_image(1, path="b.png")


def test_the_size_of_an_image_stays_while_it_has_objects(store):
    ids = store.add_objects(1, [by_hand(0, 0, 2, 2)])
    with pytest.raises(StoreError, match="remove the objects first"):
        store.update_image(1, height=9, width=9)
    store.remove_objects(ids)
    assert store.update_image(1, height=9, width=9, content_hash="new").size == (9, 9)


def test_an_unknown_image_is_named(store):
    for use in (store.image, store.objects, lambda image_id: store.set_state(image_id, ImageState.TODO)):
        with pytest.raises(StoreError, match="no image 77"):
            use(77)


def test_content_hash_of_a_folder_knows_its_records_and_sizes(tmp_path):
    files = {"zarr.json": b'{"a": 1}', "0/c/0/0": b"pixels", "0/c/0/1": b"more"}
    for name in ("one", "two"):
        for file, data in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(data)
    first = content_hash(tmp_path / "one")
    assert content_hash(tmp_path / "two") == first
    (tmp_path / "two/zarr.json").write_bytes(b'{"a": 2}')
    (tmp_path / "one/0/c/0/1").write_bytes(b"much more")
    assert first not in (content_hash(tmp_path / "one"), content_hash(tmp_path / "two"))


def test_content_hash_is_the_sha256_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert content_hash(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(ImageError, match="cannot be read"):
        content_hash(tmp_path / "b")


def test_the_image_root_follows_when_the_folders_are_moved_together_or_the_dataset_alone(tmp_path):
    (tmp_path / "one" / "images").mkdir(parents=True)
    AnnotationStore.create(tmp_path / "one" / "dataset", tmp_path / "one" / "images").close()
    (tmp_path / "one").rename(tmp_path / "two")
    with AnnotationStore.open(tmp_path / "two" / "dataset") as store:
        assert store.image_root == tmp_path / "two" / "images"
        store.set_image_root(tmp_path / "two" / "images")
    (tmp_path / "far").mkdir()
    (tmp_path / "two" / "dataset").rename(tmp_path / "far" / "dataset")
    with AnnotationStore.open(tmp_path / "far" / "dataset") as store:
        assert store.image_root == tmp_path / "two" / "images"
