"""Panoptic, YOLO, masks and GeoJSON: out, proved, and back as far as each can hold it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from psalm.errors import AnnotationError, OutputError
from psalm.formats import (
    Polygons,
    export_geojson,
    export_masks,
    export_panoptic,
    export_yolo,
    merge,
    read_masks,
    read_panoptic,
    read_yolo,
)
from psalm.store import AnnotationStore, ImageState, NewObject
from tests.psalm.formats.builders import ASKED, SIZE, masks, shape


def held(store: AnnotationStore, extras: bool = True) -> list[object]:
    """Masks and categories by image; with scores, states and provenance where a format has them."""
    images = []
    for image in store.images():
        objects = [
            (store.category(found.category_id).name, str(found.rle["counts"]))
            + ((found.score, found.provenance) if extras else ())
            for found in store.objects(image.id)
        ]
        if objects:
            images.append((image.path, image.size, image.state if extras else None, objects))
    return [[(c.id, c.name, c.is_thing, c.colour, c.synonyms) for c in store.categories()], images]


@pytest.fixture
def apart(new_store) -> AnnotationStore:
    """A dataset without overlaps: two cells and some sky beside them."""
    store = new_store()
    cell = store.ensure_category("cell", synonyms=["cells"], colour=(1, 2, 3), category_id=5)
    sky = store.ensure_category("sky", is_thing=False, category_id=9)
    image = store.ensure_image("sub/b.png", 0, *SIZE)
    left, right, below = (np.zeros(SIZE, bool) for _ in range(3))
    left[:10, :14], right[:10, 16:], below[12:] = shape(4)[:10, :14], shape(5)[:10, 16:], shape(6)[12:]
    left[0, 0] = right[0, 29] = below[20, 20] = True
    store.add_objects(
        image.id,
        [
            NewObject(cell.id, mask=left, score=0.5, provenance=ASKED),
            NewObject(cell.id, mask=right),
            NewObject(sky.id, mask=below),
        ],
    )
    store.set_state(image.id, ImageState.VERIFIED)
    empty = store.ensure_image("a.png", 0, *SIZE)
    store.set_state(empty.id, ImageState.VERIFIED)
    return store


def test_panoptic_comes_back(apart: AnnotationStore, new_store, tmp_path: Path):
    report = export_panoptic(apart, tmp_path / "out")
    assert (report.images, report.objects) == (2, 3)
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    assert [c["isthing"] for c in content["categories"]] == [1, 0]
    infos = content["annotations"][1]["segments_info"]
    with Image.open(tmp_path / "out" / "panoptic" / "sub" / "b.png") as picture:
        ids = np.asarray(picture.convert("RGB")).astype(int) @ (1, 256, 65536)
    assert [(ids == info["id"]).sum() for info in infos] == [info["area"] for info in infos]
    assert content["annotations"][0]["segments_info"] == []
    back = new_store()
    incoming = read_panoptic(tmp_path / "out", back.image_root)
    assert incoming.faults == () and merge(back, incoming).added == 3
    sky = back.find_category("sky")
    stuff = [found for found in held(back)[1][0][3] if found[0] == sky.name]
    assert [found[:2] for found in stuff] == [found[:2] for found in held(apart)[1][0][3] if found[0] == "sky"]
    assert held(back)[0] == held(apart)[0] and held(back)[1][0][3][:2] == held(apart)[1][0][3][:2]
    assert merge(back, read_panoptic(tmp_path / "out", back.image_root)).added == 0


def test_masks_come_back(apart: AnnotationStore, new_store, tmp_path: Path):
    assert export_masks(apart, tmp_path / "out").objects == 3
    with Image.open(tmp_path / "out" / "classes" / "sub" / "b.png") as picture:
        assert picture.mode == "P" and set(np.unique(np.asarray(picture))) == {0, 5, 9}
        assert picture.getpalette()[15:18] == [1, 2, 3]
    back = new_store()
    incoming = read_masks(tmp_path / "out", back.image_root)
    assert incoming.faults == () and merge(back, incoming).added == 3
    assert held(back) == held(apart)
    assert merge(back, read_masks(tmp_path / "out", back.image_root)).added == 0


def test_yolo_comes_back_overlaps_and_all(store: AnnotationStore, new_store, tmp_path: Path):
    assert export_yolo(store, tmp_path / "out").objects == 3
    assert (tmp_path / "out" / "labels" / "sub" / "b.txt").read_text() == ""
    back = new_store()
    incoming = read_yolo(tmp_path / "out", back.image_root)
    assert incoming.faults == () and merge(back, incoming).added == 3
    assert held(back, extras=False) == held(store, extras=False)
    assert merge(back, read_yolo(tmp_path / "out" / "data.yaml", back.image_root)).added == 0


@given(st.lists(masks, min_size=1, max_size=3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_yolo_and_geojson_are_exact(tmp_path: Path, found):
    number = len(list(tmp_path.glob("d*")))
    with AnnotationStore.create(tmp_path / f"d{number}", tmp_path) as store:
        cell = store.ensure_category("cell")
        image = store.ensure_image("a.png", 0, *SIZE)
        store.add_objects(image.id, [NewObject(cell.id, mask=mask) for mask in found])
        # Both compare every mask with the dataset, and raise where one differs.
        assert export_yolo(store, tmp_path / "yolo", overwrite=True).objects == len(found)
        assert export_geojson(store, tmp_path / "geo", overwrite=True).objects == len(found)


def test_geojson_has_holes_and_properties(new_store, tmp_path: Path):
    store = new_store()
    cell = store.ensure_category("cell", colour=(1, 2, 3))
    ring = np.zeros(SIZE, bool)
    ring[2:6, 3:8] = True
    ring[3:5, 4:7] = False
    image = store.ensure_image("a.png", 0, *SIZE)
    store.add_objects(image.id, [NewObject(cell.id, mask=ring, score=0.5, provenance=ASKED)])
    export_geojson(store, tmp_path / "out")
    (feature,) = json.loads((tmp_path / "out" / "a.geojson").read_text())["features"]
    outer, hole = feature["geometry"]["coordinates"]
    assert outer == [[3, 2], [8, 2], [8, 6], [3, 6], [3, 2]] and len(hole) == 5
    assert feature["properties"]["classification"] == {"name": "cell", "color": [1, 2, 3]}
    assert feature["properties"]["score"] == 0.5
    assert feature["properties"]["psalm"]["provenance"]["model"] == "psalm-tiny"


@pytest.mark.parametrize("export", [export_panoptic, export_masks])
def test_overlaps_are_never_cropped_silently(store: AnnotationStore, tmp_path: Path, export):
    with pytest.raises(AnnotationError, match=r"a\.png: the objects \d and \d overlap"):
        export(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = export(store, tmp_path / "out", crop=True)
    assert any("cropped" in note or "hide" in note for note in report.notes)


def test_a_folder_with_other_things_is_never_replaced(apart: AnnotationStore, tmp_path: Path):
    out = tmp_path / "out"
    export_masks(apart, out)
    with pytest.raises(OutputError, match="not empty"):
        export_masks(apart, out)
    export_masks(apart, out, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="choose another folder"):
            export_geojson(apart, tmp_path / "mine", overwrite=overwrite)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_images_that_share_a_name(new_store, tmp_path: Path):
    store = new_store()
    for name in ("a.png", "a.jpg"):
        store.set_state(store.ensure_image(name, 0, *SIZE).id, ImageState.VERIFIED)
    with pytest.raises(AnnotationError, match="rename one"):
        export_yolo(store, tmp_path / "yolo")
    export_masks(store, tmp_path / "masks")
    names = sorted(path.name for path in (tmp_path / "masks" / "classes").iterdir())
    assert names == ["a.jpg.png", "a.png.png"]


def test_yolo_of_other_programs(new_store, tmp_path: Path):
    folder = tmp_path / "yolo"
    (folder / "labels" / "train").mkdir(parents=True)
    (folder / "data.yaml").write_text("names: [cell, nucleus]\n")
    good = "1 0.1 0.1 0.5 0.1 0.5 0.5\n"
    (folder / "labels" / "train" / "c.txt").write_text(good + "0 0.1 0.1 0.5 0.5\n7 0 0 1 0 1 1\n0 0 0 nan 0 1 1\n")
    (folder / "labels" / "train" / "gone.txt").write_text(good)
    store = new_store()
    incoming = read_yolo(folder, store.image_root)
    assert [fault.where for fault in incoming.faults] == [
        "train/c.txt, line 2",
        "train/c.txt, line 3",
        "train/c.txt, line 4",
        "train/gone.txt",
    ]
    with pytest.raises(AnnotationError, match=r"line 2.*3 more faults"):
        merge(store, incoming)
    assert store.categories() == []
    assert merge(store, incoming, skip_faulty=True).added == 1
    assert held(store)[1][0][3][0][0] == "nucleus"


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_masks_of_other_programs(new_store, tmp_path: Path, mode):
    values = np.zeros(SIZE, np.uint16 if mode == "I;16" else np.uint8)
    values[2:5, 3:9], values[8:11, 1:4] = 1, 2
    (tmp_path / "masks").mkdir()
    picture = Image.fromarray(values, mode="P") if mode == "P" else Image.fromarray(values)
    if mode == "P":
        picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "masks" / "a.png")
    store, other = new_store(), new_store()
    merge(store, read_masks(tmp_path / "masks", store.image_root, classes=["cell"]))
    assert [found[0] for found in held(store)[1][0][3]] == ["cell", "class 2"]
    merge(other, read_masks(tmp_path / "masks", other.image_root, classes=["cell"], instances=True))
    assert [found[0] for found in held(other)[1][0][3]] == ["cell", "cell"]


def test_panoptic_faults_are_named(apart: AnnotationStore, new_store, tmp_path: Path):
    export_panoptic(apart, tmp_path / "out")
    path = tmp_path / "out" / "panoptic.json"
    content = json.loads(path.read_text())
    infos = content["annotations"][1]["segments_info"]
    infos[0]["category_id"] = 77
    infos[1]["id"] = 50
    content["annotations"][0]["file_name"] = "../../images/a.png"
    path.write_text(json.dumps(content))
    faults = read_panoptic(path, apart.image_root).faults
    assert {fault.kind for fault in faults} == {"unknown category", "segment id", "unlisted segment", "picture"}
    assert any("annotations[1].segments_info[0]" in fault.where for fault in faults)


def test_simplified_yolo_is_smaller(store: AnnotationStore, tmp_path: Path):
    export_yolo(store, tmp_path / "exact")
    export_yolo(store, tmp_path / "simple", polygons=Polygons.SIMPLIFIED, min_iou=0.6)
    sizes = [(tmp_path / name / "labels" / "a.txt").stat().st_size for name in ("exact", "simple")]
    assert sizes[1] < sizes[0]
