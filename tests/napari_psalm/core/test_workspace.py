from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from PIL import Image

from napari_psalm.core import object_edits
from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.dataset import Dataset, open_dataset
from napari_psalm.core.workspace import Workspace
from psalm.errors import AnnotationError, ImageError
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, one of them in a subfolder, and a stack of two pages."""
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    for i, name in enumerate(("a.png", "b.png", "more/c.png")):
        Image.fromarray(np.full((20, 30 + i), 40 * i, dtype=np.uint8)).save(folder / name)
    tifffile.imwrite(folder / "stack.tif", np.zeros((2, 12, 14), dtype=np.uint8), photometric="minisblack")
    (folder / "notes.txt").write_text("no image")
    return folder


class Bench:
    """A workspace with a viewer without a window; `go` waits until an image is shown."""

    def __init__(self, post: Any, folder: Path) -> None:
        self.post, self.folder = post, folder
        self.viewer = ViewerModel()
        self.workspace = Workspace(self.viewer, post)
        self.said: list[str] = []
        self.shown: list[Any] = []
        self.workspace.said.connect(lambda text, level: self.said.append(text))
        self.workspace.shown.connect(lambda image, layer: self.shown.append(layer))

    def wait(self, change: Any) -> Any:
        count = len(self.shown)
        change()
        self.post.wait(lambda: len(self.shown) > count)
        return self.shown[-1]

    def open(self) -> Any:
        return self.wait(lambda: self.workspace.open(self.folder))

    def go(self, row: int) -> Any:
        return self.wait(lambda: self.workspace.go_to(self.workspace.queue.images[row]))

    def areas(self, row: int) -> list[int]:
        image = self.workspace.queue.images[row]
        return [found.area for found in self.workspace.dataset.store.objects(image.id)]


@pytest.fixture
def bench(post: Any, folder: Path) -> Iterator[Bench]:
    bench = Bench(post, folder)
    yield bench
    bench.workspace.close()


def _draw(layer: Any, label_id: int, row: int, count: int = 3) -> None:
    layer.layer.data_setitem((np.full(count, row), np.arange(count)), label_id)


def test_a_folder_becomes_a_dataset_with_every_page_in_the_queue(bench: Bench) -> None:
    layer = bench.open()
    queue = bench.workspace.queue
    named = [(image.path, image.page) for image in queue.images]
    assert named == [("a.png", 0), ("b.png", 0), ("more/c.png", 0), ("stack.tif", 0), ("stack.tif", 1)]
    assert queue.words == "0 of 5 verified, 5 to do"
    assert layer.layer.data.shape == (20, 30)
    assert [one.name for one in bench.viewer.layers] == ["a", "a objects"]
    assert bench.go(4).layer.data.shape == (12, 14)
    assert len(bench.viewer.layers) == 2


def test_every_change_is_in_the_store_at_once(bench: Bench) -> None:
    layer = bench.open()
    _draw(layer, 4, 2)
    with AnnotationStore.open(bench.folder, read_only=True) as other:
        assert [found.area for found in other.objects(1)] == [3]
        assert other.image(1).state is ImageState.IN_REVIEW
    layer.layer.undo()
    assert bench.areas(0) == []


def test_going_to_and_fro_and_opening_again_keeps_objects(bench: Bench, post: Any) -> None:
    _draw(bench.open(), 4, 2)
    _draw(bench.wait(lambda: bench.workspace.step(1)), 1, 5, 2)
    assert bench.wait(lambda: bench.workspace.step(-1)).layer.data.sum() == 3
    bench.go(1)
    bench.workspace.close()
    again = Bench(post, bench.folder)
    layer = again.open()
    assert again.workspace.image.path == "b.png"
    assert layer.layer.data.sum() == 2
    again.workspace.close()


def test_a_verified_image_is_protected_until_it_is_taken_up_again(bench: Bench) -> None:
    layer = bench.open()
    _draw(layer, 4, 2)
    bench.wait(lambda: bench.workspace.set_state(ImageState.VERIFIED, move=True))
    assert bench.workspace.image.path == "b.png"
    layer = bench.go(0)
    with pytest.raises(AnnotationError, match="verified"):
        object_edits.delete(layer, layer.ids)
    bench.workspace.set_state(ImageState.IN_REVIEW)
    object_edits.delete(layer, layer.ids)
    assert bench.areas(0) == []


def test_a_stroke_on_a_verified_image_takes_it_up_again(bench: Bench) -> None:
    layer = bench.open()
    bench.workspace.set_state(ImageState.VERIFIED)
    _draw(layer, 4, 2)
    assert bench.workspace.image.state is ImageState.IN_REVIEW
    assert "in review again" in bench.said[-1]
    object_edits.delete(layer, layer.ids)


def test_verifying_goes_through_what_needs_work_and_says_when_it_is_done(bench: Bench) -> None:
    bench.open()
    for _ in range(4):
        bench.wait(lambda: bench.workspace.set_state(ImageState.VERIFIED, move=True))
    bench.workspace.set_state(ImageState.SKIPPED, move=True)
    assert bench.said[-1].startswith("Done")
    assert bench.workspace.queue.words == "4 of 5 verified, 1 skipped"
    assert bench.workspace.queue.progress == (5, 5)


def test_the_list_is_filtered_and_sorted_by_uncertainty(bench: Bench) -> None:
    bench.open()
    queue, store = bench.workspace.queue, bench.workspace.dataset.store
    cell = store.ensure_category("cell").id
    for image, width, score in zip(queue.images[:2], (30, 31), (0.9, 0.5), strict=True):
        store.ensure_image(image.path, 0, 20, width)
        mask = np.eye(20, width, dtype=bool)
        store.replace_unreviewed(image.id, [NewObject(cell, mask=mask, score=score, provenance=Provenance("model"))])
    queue.choose(filter="predicted", order="uncertainty")
    assert [image.path for image in queue.images] == ["b.png", "a.png"]
    assert queue.uncertainty[queue.images[0].id] == pytest.approx(0.5)
    queue.choose(filter="needs work", order="name")
    assert len(queue.images) == 5


def test_a_layer_that_the_user_takes_away_comes_back_with_its_objects(bench: Bench) -> None:
    _draw(bench.open(), 4, 2)
    bench.viewer.layers.remove("a objects")
    assert len(bench.viewer.layers) == 0
    assert "its objects are kept" in bench.said[-1]
    assert bench.go(0).layer.data.sum() == 3
    bench.viewer.layers["a objects"].name = "mine"
    _draw(bench.workspace.layer, 5, 6)
    assert bench.areas(0) == [3, 3]
    bench.viewer.layers.remove("a")
    assert len(bench.viewer.layers) == 0


def test_the_latest_wish_wins(bench: Bench) -> None:
    bench.open()
    for row in (1, 2, 3):
        bench.workspace.go_to(bench.workspace.queue.images[row])
    bench.post.wait(lambda: bench.workspace.image.path == "stack.tif")
    assert [one.name for one in bench.viewer.layers] == ["stack", "stack objects"]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"nothing")])
def test_a_broken_image_is_said_and_the_others_go_on(bench: Bench, damage: Any) -> None:
    bench.open()
    damage(bench.folder / "b.png")
    bench.workspace.go_to(bench.workspace.queue.images[1])
    bench.post.wait(lambda: "b.png" in bench.said[-1] and "Opening" not in bench.said[-1])
    assert bench.workspace.image.path == "a.png"
    bench.go(2)


def test_an_image_of_another_size_does_not_spoil_its_objects(bench: Bench) -> None:
    _draw(bench.open(), 4, 2)
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(bench.folder / "a.png")
    bench.go(1)
    bench.workspace.step(-1)
    bench.post.wait(lambda: "9 x 9" in bench.said[-1])
    assert bench.areas(0) == [3]


def test_a_dataset_of_a_batch_is_opened(post: Any, folder: Path, tmp_path: Path) -> None:
    with AnnotationStore.create(tmp_path / "out", folder) as store:
        store.ensure_image("a.png", 0, 20, 30)
        cell = store.ensure_category("cell", shortcut="3")
        mask = np.eye(20, 30, dtype=bool)
        store.replace_unreviewed(1, [NewObject(cell.id, mask=mask, score=0.8, provenance=Provenance("model"))])
    bench = Bench(post, tmp_path / "out")
    layer = bench.open()
    assert list(layer.table["origin"]) == ["model"]
    assert bench.workspace.dataset.categories().name_of_shortcut(3) == "cell"
    bench.workspace.close()


def test_a_folder_without_images_is_refused(bench: Bench, tmp_path: Path) -> None:
    assert not bench.workspace.open(tmp_path / "nowhere")
    assert "neither a dataset nor an image" in bench.said[-1]
    assert not (tmp_path / "nowhere").exists()


def test_images_that_come_later_are_found(folder: Path) -> None:
    open_dataset(folder).close()
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(folder / "new.png")
    dataset = open_dataset(folder)
    assert [image.path for image in dataset.store.images()].count("new.png") == 1
    dataset.close()
    (folder / "new.png").rename(folder.parent / "gone.png")
    with pytest.raises(ImageError):
        dataset = open_dataset(folder)
        try:
            dataset.read(dataset.store.find_image("new.png"))
        finally:
            dataset.close()


def test_the_class_list_keeps_its_ids_in_the_dataset(folder: Path) -> None:
    dataset: Dataset = open_dataset(folder)
    table = CategoryTable.from_text("cell / cells\nsky (stuff)\ndust")
    table = dataset.keep_categories(table.styled("dust", colour=(1.0, 0.0, 0.0), shortcut=5))
    assert table.to_text() == "cell / cells\nsky (stuff)\ndust"
    store = dataset.store
    store.ensure_image("a.png", 0, 20, 30)
    store.add_objects(1, [NewObject(table.id_of("sky"), mask=np.eye(20, 30, dtype=bool))])
    after = dataset.keep_categories(CategoryTable.from_text("dust\nmite", table))
    assert after.id_of("dust") == table.id_of("dust")
    assert (after.colour_of("dust"), after.shortcut_of("dust")) == ((1.0, 0.0, 0.0), 5)
    assert set(after.names) == {"sky", "dust", "mite"}  # the sky has an object
    dataset.close()
