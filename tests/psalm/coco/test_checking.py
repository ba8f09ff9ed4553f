"""Faults of COCO files: each is found, named with its entry, and comes with a cure."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from psalm.coco import check_coco
from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError

SQUARE = np.zeros((20, 30), bool)
SQUARE[4:10, 6:9] = True


def annotation(key: int, **changes: Any) -> dict[str, Any]:
    entry = {"id": key, "image_id": 5, "category_id": 3, "segmentation": encode_mask(SQUARE)}
    return entry | {"area": 18, "bbox": [6, 4, 3, 6], "iscrowd": 0} | changes


def valid() -> dict[str, Any]:
    polygon = [[1, 1, 5, 1, 5, 4, 1, 4], [10, 10, 12, 10, 12, 12, 10, 12]]
    return {
        "info": {},
        "licenses": [],
        "images": [{"id": 5, "file_name": "a.png", "height": 20, "width": 30}],
        "categories": [{"id": 3, "name": "cell"}, {"id": 4, "name": "coin", "supercategory": "thing"}],
        "annotations": [
            annotation(1),
            annotation(2, segmentation=polygon, area=16, bbox=[1, 1, 11, 11]),
            annotation(3, category_id=4, segmentation={"size": [20, 30], "counts": [0, 600]}, iscrowd=1)
            | {"area": 600, "bbox": [0, 0, 30, 20]},
        ],
    }


def check(folder: Path, content: Any, **choices: Any) -> list[Any]:
    path = folder / "coco.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return check_coco(path, **choices)


def test_a_good_file_has_no_fault(tmp_path: Path):
    assert check(tmp_path, valid()) == []


def row_by_row() -> dict[str, Any]:
    """What a program writes that reads the pixels of `SQUARE` row by row."""
    return encode_mask(np.reshape(SQUARE.ravel(), SQUARE.shape, order="F"))


@pytest.mark.parametrize(
    ("where", "key", "value", "kind", "fatal"),
    [
        ("images", "id", -1, "id", True),
        ("images", "id", "5", "id is no number", False),
        ("images", "id", 10**300, "id", True),
        ("images", "file_name", "../a.png", "file name", True),
        ("images", "file_name", "C:\\a.png", "file name", True),
        ("images", "file_name", "/a.png", "file name", True),
        ("images", "file_name", "./C:a.png", "file name", True),
        ("images", "file_name", "a\0.png", "file name", True),
        ("images", "file_name", "x" * 300, "file name", True),
        ("images", "file_name", "\ud800.png", "file name", True),
        ("images", "file_name", None, "file name", True),
        ("images", "file_name", "sub\\a.png", "backslashes", False),
        ("images", "height", 0, "image size", True),
        ("images", "height", 10**9, "image size", True),
        ("images", "width", float("nan"), "image size", True),
        ("images", "width", 30.0, "size is no number", False),
        ("categories", "id", 4, "id twice", True),
        ("categories", "id", 0, "category 0", False),
        ("categories", "name", " coin", "category twice", True),
        ("categories", "name", "", "category name", True),
        ("categories", "isthing", "yes", "isthing", False),
        ("annotations", "id", 2, "id twice", True),
        ("annotations", "id", None, "id", True),
        ("annotations", "id", 0, "annotation 0", False),
        ("annotations", "image_id", 77, "unknown image", True),
        ("annotations", "image_id", [5], "unknown image", True),
        ("annotations", "category_id", 77, "unknown category", True),
        ("annotations", "segmentation", [], "no mask", True),
        ("annotations", "segmentation", "text", "segmentation", True),
        ("annotations", "segmentation", {"size": [30, 20], "counts": [600]}, "segmentation", True),
        ("annotations", "segmentation", {"size": [20, 30], "counts": [599]}, "segmentation", True),
        ("annotations", "segmentation", {"size": [20, 30], "counts": [0, 599, 2]}, "segmentation", True),
        ("annotations", "segmentation", {"size": [20, 30], "counts": [600]}, "empty mask", True),
        ("annotations", "segmentation", [[1, 1, 2, float("nan"), 3, 3]], "segmentation", True),
        ("annotations", "segmentation", [[1, 1, 2, 9e9, 3, 3]], "segmentation", True),
        ("annotations", "segmentation", row_by_row(), "RLE order", True),
        ("annotations", "segmentation", [6, 4, 9, 4, 9, 10, 6, 10], "flat polygon", False),
        ("annotations", "segmentation", [[6, 4, 9, 4, 9, 10, 6, 10], [7, 5]], "tiny polygon", False),
        ("annotations", "segmentation", [[6, 4, 9, 4, 9, 10, 6, 10], ["a", "b"]], "tiny polygon", False),
        ("annotations", "segmentation", [[6, 4, 9, 4, 9, 10], [7, 5, 8, 5, 8, 7, 7, 7]], "hole as polygon", False),
        ("annotations", "segmentation", [[6, 4, 9, 4, 9, 10, 6, 10], [28, 0, 40, 0, 40, 1, 28, 1]], "outside", False),
        ("annotations", "area", 30, "area", False),
        ("annotations", "area", float("inf"), "area", True),
        ("annotations", "area", -3, "area", True),
        ("annotations", "bbox", [6, 4, 9, 10], "bbox", False),
        ("annotations", "bbox", [6, 4, 2, 5], "bbox", False),
        ("annotations", "bbox", [6, 4, -3, 6], "bbox", True),
        ("annotations", "bbox", [6, 4, 3], "bbox", True),
        ("annotations", "iscrowd", 2, "iscrowd", False),
        ("annotations", "score", float("nan"), "score", True),
        ("annotations", "score", 90, "score", True),
    ],
)  # fmt: skip
def test_each_fault_is_found(tmp_path: Path, where, key, value, kind, fatal):
    content = valid()
    content[where][0][key] = value
    faults = check(tmp_path, content)
    found = [fault for fault in faults if fault.kind == kind]
    assert found and found[0].fatal == fatal, [str(fault) for fault in faults]
    # Of two entries that clash, the second is named.
    place = 1 if kind in ("id twice", "category twice") else 0
    assert found[0].where.startswith(f"{where}[{place}]") and found[0].cure
    assert all(fault.fatal == fatal for fault in found)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda content: content.pop("info"), "head"),
        (lambda content: content.pop("images"), "no list"),
        (lambda content: content["images"].append(3), "no object"),
        (lambda content: content["images"].append(content["images"][0] | {"id": 6}), "file name twice"),
        (lambda content: content["annotations"].append(annotation(9)), "object twice"),
        (lambda content: content["annotations"][0].pop("area"), "no area"),
        (lambda content: [entry.update(iscrowd=1) for entry in content["annotations"]], "all crowds"),
        (lambda content: content["annotations"][0].update(id=0), "evaluation"),
    ],
)
def test_faults_of_the_whole_file_are_found(tmp_path: Path, change, kind):
    content = valid()
    change(content)
    assert kind in [fault.kind for fault in check(tmp_path, content)]


def test_all_faults_are_listed(tmp_path: Path):
    content = valid()
    for place, key in ((0, "area"), (1, "bbox"), (2, "segmentation")):
        content["annotations"][place][key] = -1
    wheres = [fault.where for fault in check(tmp_path, content) if fault.fatal]
    assert wheres == ["annotations[0] (id 1)", "annotations[1] (id 2)", "annotations[2] (id 3)"]


def test_nan_is_found_by_its_line(tmp_path: Path):
    text = json.dumps(valid(), indent=1).replace('"area": 18', '"area": NaN')
    line = next(number for number, found in enumerate(text.splitlines(), 1) if "NaN" in found)
    assert [fault.where for fault in check(tmp_path, text) if fault.kind == "no JSON number"] == [f"line {line}"]


def test_other_files_are_refused(tmp_path: Path):
    for text in ("[1]", "{", "[" * 100_000, "9" * 10_000):
        with pytest.raises(AnnotationError):
            check(tmp_path, text)


def test_images_are_compared(tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    assert check(tmp_path, valid(), images=folder)[0].kind == "image missing"
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(folder / "a.png")
    assert check(tmp_path, valid(), images=folder) == []
    (folder / "a.png").write_bytes(b"")
    assert check(tmp_path, valid(), images=folder)[0].kind == "image file"
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(folder / "a.png", exif=exif)
    fault = check(tmp_path, valid(), images=folder)[0]
    assert fault.kind == "size differs" and "EXIF" in fault.cure


def test_links_do_not_lead_out(tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "secret.png")
    (folder / "a.png").symlink_to(tmp_path / "secret.png")
    fault = check(tmp_path, valid(), images=folder)[0]
    assert fault.kind == "image file" and "leads out" in fault.what
    content = copy.deepcopy(valid())
    (folder / "a.png").unlink()
    (folder / "up").symlink_to(tmp_path)
    content["images"][0]["file_name"] = "up/secret.png"
    assert check(tmp_path, content, images=folder)[0].kind == "image file"
