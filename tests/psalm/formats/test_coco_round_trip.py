"""Out as COCO, proved by pycocotools, and back without loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from psalm.coco import check_coco, read_coco
from psalm.errors import AnnotationError, OutputError
from psalm.formats import Polygons, export_coco, merge, read_coco_file
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance
from tests.psalm.formats.builders import ASKED, SIZE, masks

ALL = frozenset(ImageState)


def content(store: AnnotationStore) -> list[object]:
    """Everything that must survive, in an order that does not depend on ids of images and objects."""
    images = [
        (
            (image.path, image.page, image.size, image.content_hash, image.state, image.error),
            [
                (found.category_id, dict(found.rle), found.score, found.area, found.bbox, found.provenance)
                for found in store.objects(image.id)
            ],
        )
        for image in store.images()
    ]
    return [store.categories(), images]


def test_the_dataset_comes_back(store: AnnotationStore, new_store, tmp_path: Path):
    report = export_coco(store, tmp_path / "all.json", states=ALL)
    assert (report.images, report.objects, report.left_out, report.notes) == (3, 3, 0, ())
    back = new_store()
    incoming = read_coco_file(report.path, back.image_root)
    assert incoming.faults == ()
    assert merge(back, incoming).added == 3
    hashes = {image.path: image.content_hash for image in back.images()}
    for image in store.images():
        store.update_image(image.id, content_hash=hashes[image.path])
    assert content(back) == content(store)


@given(
    found=st.lists(
        st.tuples(
            masks,
            st.none() | st.floats(0, 1),
            st.sampled_from([Provenance(), ASKED, Provenance("model", prompt={"kind": "sentence", "text": "é \n"})]),
        ),
        max_size=4,
    ),
    state=st.sampled_from(list(ImageState)),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_any_objects_come_back(tmp_path: Path, found, state):
    (tmp_path / "x").mkdir(exist_ok=True)
    number = len(list((tmp_path / "x").iterdir()))
    with (
        AnnotationStore.create(tmp_path / "x" / str(number), tmp_path) as store,
        AnnotationStore.create(tmp_path / "x" / str(number + 1), tmp_path) as back,
    ):
        cell = store.ensure_category("cell", synonyms=["Zelle"], colour=(9, 8, 7), category_id=3)
        image = store.ensure_image("stack.tif", 4, *SIZE, "c0ffee")
        store.add_objects(
            image.id, [NewObject(cell.id, mask=mask, score=score, provenance=where) for mask, score, where in found]
        )
        store.set_state(image.id, state, "why" if state is ImageState.FAILED else None)
        for polygons in (None, Polygons.EXACT):
            path = tmp_path / f"{polygons}.json"
            export_coco(store, path, polygons=polygons, states=ALL, overwrite=True)
            merge(back, read_coco_file(path))  # the second time, everything is known
            assert content(back) == content(store)


def test_importing_again_changes_nothing(store: AnnotationStore, new_store, tmp_path: Path):
    path = export_coco(store, tmp_path / "all.json").path
    back = new_store()
    merge(back, read_coco_file(path, back.image_root))
    once = content(back)
    report = merge(back, read_coco_file(path, back.image_root))
    assert (report.added, report.known, report.similar) == (0, 3, 0)
    assert content(back) == once


def test_images_nobody_looked_at_stay_here(store: AnnotationStore, tmp_path: Path):
    report = export_coco(store, tmp_path / "some.json")
    assert (report.images, report.left_out) == (2, 1)
    assert [image.file_name for image in read_coco(report.path).images] == ["a.png", "sub/b.png"]
    report = export_coco(store, tmp_path / "todo.json", states=[ImageState.TODO])
    assert [image.file_name for image in read_coco(report.path).images] == ["c.png"]


def test_other_readers_find_nothing_to_complain_about(store: AnnotationStore, tmp_path: Path):
    path = export_coco(store, tmp_path / "all.json").path
    assert check_coco(path, store.image_root) == []
    entries = json.loads(path.read_text())
    assert [entry["id"] for entry in entries["annotations"]] == [1, 2, 3]
    assert {entry["iscrowd"] for entry in entries["annotations"]} == {0}
    assert [entry["id"] for entry in entries["categories"]] == [5, 9]


def test_simplified_polygons_keep_the_stated_overlap(store: AnnotationStore, tmp_path: Path):
    exact = export_coco(store, tmp_path / "exact.json", polygons=Polygons.EXACT).path
    simple = export_coco(store, tmp_path / "simple.json", polygons=Polygons.SIMPLIFIED, min_iou=0.7).path
    assert simple.stat().st_size < exact.stat().st_size
    coco = COCO(str(simple))
    for image in store.images():
        for found in store.objects(image.id):
            mask, back = found.mask(), coco.annToMask(coco.anns[found.id]).astype(bool)
            assert (mask & back).sum() / (mask | back).sum() >= 0.7
    with pytest.raises(AnnotationError, match="least IoU"):
        export_coco(store, tmp_path / "none.json", min_iou=0)


def test_a_page_has_a_name_of_its_own(new_store, tmp_path: Path):
    store = new_store()
    cell = store.ensure_category("cell")
    for page in (0, 2):
        image = store.ensure_image("stack.tif", page, *SIZE)
        store.add_objects(image.id, [NewObject(cell.id, mask=np.ones(SIZE, bool))])
    path = export_coco(store, tmp_path / "stack.json").path
    images = json.loads(path.read_text())["images"]
    assert [image["file_name"] for image in images] == ["stack.tif", "stack.tif#page=2"]
    assert (images[1]["parent"], images[1]["frame"]) == ("stack.tif", 2)


def test_crowds_stay_crowds(new_store, tmp_path: Path):
    entries = {
        "images": [{"id": 0, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
        "categories": [{"id": 0, "name": "cell"}],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 0, "segmentation": [[1, 1, 9, 1, 9, 9]], "iscrowd": 0},
            {"id": 1, "image_id": 0, "category_id": 0, "iscrowd": 1}
            | {"segmentation": {"size": list(SIZE), "counts": [10, 20, SIZE[0] * SIZE[1] - 30]}},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(entries))
    store = new_store()
    assert merge(store, read_coco_file(tmp_path / "coco.json", store.image_root)).added == 2
    path = export_coco(store, tmp_path / "back.json").path
    assert [entry["iscrowd"] for entry in json.loads(path.read_text())["annotations"]] == [0, 1]


def test_an_existing_file_is_kept(store: AnnotationStore, tmp_path: Path):
    (tmp_path / "mine.json").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        export_coco(store, tmp_path / "mine.json")
    assert (tmp_path / "mine.json").read_text() == "mine"
    export_coco(store, tmp_path / "mine.json", overwrite=True)
    assert len(read_coco(tmp_path / "mine.json").annotations) == 3


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda entry: entry | {"category_id": 9}, "object 1 of a.png has another image or category"),
        (lambda entry: entry | {"score": 0.5}, "object 1 of a.png has another score"),
        (lambda entry: entry | {"area": 1}, "object 1 of a.png has another area"),
        (lambda entry: entry | {"id": 77}, "object 1 of a.png is missing"),
        (lambda entry: entry | {"segmentation": [[0, 0, 5, 0, 5, 5]]}, "object 1 of a.png has another mask"),
    ],
)
def test_a_wrong_export_does_not_appear(store: AnnotationStore, tmp_path: Path, monkeypatch, broken, message):
    from psalm.formats import coco_export

    entry = coco_export._Shapes.entry
    monkeypatch.setattr(
        coco_export._Shapes,
        "entry",
        lambda self, found: broken(entry(self, found)) if found.id == 1 else entry(self, found),
    )
    with pytest.raises(AnnotationError, match=message):
        export_coco(store, tmp_path / "wrong.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset0", "images"]
