"""Files of other programs come into a dataset once, and change nothing that was there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError
from psalm.formats import merge, read_coco_file
from psalm.store import AnnotationStore, ImageState, NewObject
from tests.psalm.formats.builders import SIZE, shape


def square(row: int, column: int, side: int = 10) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[row : row + side, column : column + side] = True
    return mask


def written(folder: Path, *annotations: dict[str, Any], name: str = "coco.json", **others: Any) -> Path:
    """A COCO file with the habits of other programs: text as ids, no supercategories, sizes as floats."""
    shared = {"image_id": "0", "category_id": 7, "iscrowd": 0, "area": 100.0}
    content = {
        "images": [{"id": 0, "file_name": "a.png", "height": float(SIZE[0]), "width": SIZE[1]}],
        "categories": [{"id": 7, "name": "cell"}, {"id": 8, "name": "coin"}],
        "annotations": [shared | annotation for annotation in annotations],
    }
    path = folder / name
    path.write_text("\ufeff" + json.dumps(content | others), encoding="utf-8")
    return path


def add(store: AnnotationStore, path: Path, **choices: Any) -> tuple[int, int, int]:
    report = merge(store, read_coco_file(path, store.image_root), **choices)
    return report.added, report.known, report.similar


def test_all_kinds_of_segmentation_are_read(new_store, tmp_path: Path):
    mask = square(2, 3)
    runs = [3 * SIZE[0] + 2, *([10, SIZE[0] - 10] * 10)]
    runs[-1] = SIZE[0] * SIZE[1] - sum(runs[:-1])
    ring = [3.0, 2.0, 13.0, 2.0, 13.0, 12.0, 3.0, 12.0]
    kinds = [encode_mask(mask), {"size": list(SIZE), "counts": runs}, [ring], ring, [ring, [1.0, 1.0]]]
    for number, segmentation in enumerate(kinds):
        store = new_store()
        assert add(store, written(tmp_path, {"id": str(number), "segmentation": segmentation})) == (1, 0, 0)
        (found,) = store.objects(store.find_image("a.png").id)
        assert np.array_equal(found.mask(), mask)
        assert (found.score, found.provenance.origin) == (None, "hand")
        assert found.provenance.prompt["file"] == "coco.json" and found.provenance.prompt["object"] == str(number)
        assert [(category.id, category.name) for category in store.categories()] == [(7, "cell"), (8, "coin")]
    assert store.find_image("a.png").state is ImageState.IN_REVIEW
    assert store.find_image("a.png").content_hash


def test_an_object_that_was_corrected_here_is_not_added_again(new_store, tmp_path: Path):
    store = new_store()
    path = written(tmp_path, {"id": 1, "segmentation": encode_mask(square(0, 0))})
    assert add(store, path) == (1, 0, 0)
    (found,) = store.objects(1)
    coin = store.find_category("coin")
    store.update_object(found.id, mask=square(8, 12), category_id=coin.id)
    assert add(store, path) == (0, 1, 0)
    assert len(store.objects(1)) == 1


def test_equal_objects_of_a_file_are_all_added_once(new_store, tmp_path: Path):
    store = new_store()
    twin = {"segmentation": encode_mask(square(0, 0))}
    path = written(
        tmp_path, twin | {"id": 1}, twin | {"id": 2}, {"id": 3, "segmentation": encode_mask(square(0, 0, 11))}
    )
    assert add(store, path) == (3, 0, 0)
    assert add(store, path) == (0, 3, 0)


def test_objects_that_look_alike_are_left_out_on_request(new_store, tmp_path: Path):
    store = new_store()
    cell = store.ensure_category("cell")
    image = store.ensure_image("a.png", 0, *SIZE)
    store.add_objects(image.id, [NewObject(cell.id, mask=square(0, 0, 12))])
    near = {"id": 1, "segmentation": encode_mask(square(0, 0, 12) & ~square(11, 11))}
    assert add(store, written(tmp_path, near)) == (0, 0, 1)
    assert add(store, written(tmp_path, near | {"category_id": 8})) == (1, 0, 0)
    assert add(store, written(tmp_path, near), similar_iou=1) == (1, 0, 0)
    with pytest.raises(AnnotationError, match="IoU"):
        add(store, written(tmp_path, near), similar_iou=2)


def test_the_dataset_stays_as_it_is(new_store, tmp_path: Path):
    store = new_store()
    cell = store.ensure_category("nucleus", is_thing=True, synonyms=["cell"], colour=(1, 2, 3))
    image = store.ensure_image("a.png", 0, *SIZE)
    store.add_objects(image.id, [NewObject(cell.id, mask=shape(3))])
    store.set_state(image.id, ImageState.VERIFIED)
    before = store.objects(image.id)
    path = written(
        tmp_path,
        {"id": 1, "segmentation": encode_mask(square(14, 14))},
        categories=[{"id": 7, "name": "cell", "isthing": 0, "color": [9, 9, 9]}],
    )
    report = merge(store, read_coco_file(path, store.image_root))
    assert store.categories() == [cell] and "stuff in the file" in report.notes[0]
    assert store.objects(image.id)[:1] == before
    assert store.image(image.id).state is ImageState.IN_REVIEW


def test_a_taken_category_id_is_not_given_twice(new_store, tmp_path: Path):
    store = new_store()
    store.ensure_category("sky", category_id=7)
    add(store, written(tmp_path, {"id": 1, "segmentation": encode_mask(square(0, 0))}))
    assert [(category.id, category.name) for category in store.categories()] == [(7, "sky"), (8, "cell"), (9, "coin")]


def test_scores_make_them_a_models(new_store, tmp_path: Path):
    store = new_store()
    segmentation = encode_mask(square(0, 0))
    add(store, written(tmp_path, {"id": 1, "segmentation": segmentation, "score": 0.25}), state=ImageState.PREDICTED)
    (found,) = store.objects(1)
    assert (found.score, found.provenance.origin) == (0.25, "model")
    assert store.image(1).state is ImageState.PREDICTED


def test_a_file_with_faults_changes_nothing(new_store, tmp_path: Path):
    store = new_store()
    good = {"id": 1, "segmentation": encode_mask(square(0, 0))}
    path = written(tmp_path, good, {"id": 2, "segmentation": []}, {"id": 3, "segmentation": "x"})
    with pytest.raises(AnnotationError, match=r"annotations\[1\] \(id 2\).*1 more fault"):
        add(store, path)
    assert store.categories() == [] and list(store.images()) == []
    report = merge(store, read_coco_file(path, store.image_root), skip_faulty=True)
    assert report.added == 1 and [fault.where[:14] for fault in report.faults] == ["annotations[1]", "annotations[2]"]


def test_an_image_of_another_size_is_refused(new_store, tmp_path: Path):
    store = new_store()
    store.ensure_image("a.png", 0, 5, 5)
    with pytest.raises(AnnotationError, match="5 x 5 in the dataset"):
        add(store, written(tmp_path, {"id": 1, "segmentation": encode_mask(square(0, 0))}))


def test_damaged_extras_are_refused(new_store, tmp_path: Path):
    store = new_store()
    good = {"id": 1, "segmentation": encode_mask(square(0, 0))}
    for extras in ({"provenance": {"origin": "nobody"}}, {"provenance": {"prompt": 3}}, {"x": float("nan")}):
        with pytest.raises(AnnotationError, match=r"annotations\[0\] \(id 1\)"):
            add(store, written(tmp_path, good | {"psalm": extras}))
    images = [{"id": 0, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1], "psalm": {"state": "done"}}]
    with pytest.raises(AnnotationError, match=r"images\[0\]"):
        add(store, written(tmp_path, good, images=images))
