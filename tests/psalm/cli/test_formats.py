"""``psalm export``, ``psalm import`` and ``psalm check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from psalm.cli.main import app
from psalm.store import AnnotationStore, ImageState, NewObject


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """One image with two objects that overlap, and one that nobody has looked at."""
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "images" / name)
    with AnnotationStore.create(tmp_path / "dataset", tmp_path / "images") as store:
        cell = store.ensure_category("cell")
        image = store.ensure_image("a.png", 0, 20, 30)
        masks = np.zeros((2, 20, 30), bool)
        masks[0, 2:9, 3:9], masks[1, 5:12, 5:12] = True, True
        store.add_objects(image.id, [NewObject(cell.id, mask=mask, score=0.5) for mask in masks])
        store.set_state(image.id, ImageState.VERIFIED)
        store.ensure_image("b.png", 0, 20, 30)
    return tmp_path / "dataset"


@pytest.mark.parametrize("format", ["coco", "coco-panoptic", "yolo", "masks"])
def test_out_and_in_again(dataset: Path, tmp_path: Path, format: str):
    crop = ("--overlaps", "crop") if format in ("coco-panoptic", "masks") else ()
    out = tmp_path / "out"
    result = run("export", dataset, "--format", format, "--out", out, *crop)
    assert result.exit_code == 0, result.output
    assert "2 objects on 1 images (1 images left out)" in result.output
    assert ("1 objects are cropped" in result.output) == bool(crop)
    result = run("import", tmp_path / "new", out, "--format", format, "--images", tmp_path / "images")
    assert result.exit_code == 0, result.output
    assert "2 objects added on 1 images, 0 known already" in result.output
    result = run("import", tmp_path / "new", out, "--format", format)
    assert "0 objects added on 1 images, 2 known already" in result.output


def test_geojson_and_polygons(dataset: Path, tmp_path: Path):
    assert run("export", dataset, "--format", "geojson", "--out", tmp_path / "geo").exit_code == 0
    assert (tmp_path / "geo" / "a.geojson").is_file()
    result = run("export", dataset, "--out", tmp_path / "coco.json", "--polygons", "exact", "--states", "all")
    assert "2 objects on 2 images:" in result.output
    entry = json.loads((tmp_path / "coco.json").read_text())["annotations"][0]
    assert entry["segmentation"] == [[3, 2, 9, 2, 9, 9, 3, 9]]


def test_nothing_is_overwritten_unasked(dataset: Path, tmp_path: Path):
    (tmp_path / "coco.json").write_text("mine")
    result = run("export", dataset, "--out", tmp_path / "coco.json")
    assert result.exit_code == 1 and "--overwrite" in result.stderr
    assert (tmp_path / "coco.json").read_text() == "mine"
    assert run("export", dataset, "--out", tmp_path / "coco.json", "--overwrite").exit_code == 0


def test_check_says_what_is_wrong_and_how_to_mend_it(dataset: Path, tmp_path: Path):
    run("export", dataset, "--out", tmp_path / "coco.json")
    result = run("check", tmp_path / "coco.json", "--images", tmp_path / "images")
    assert result.exit_code == 0 and "is fine" in result.output
    content = json.loads((tmp_path / "coco.json").read_text())
    content["annotations"][0]["area"] = 49
    content["annotations"][1]["category_id"] = 7
    (tmp_path / "coco.json").write_text(json.dumps(content))
    result = run("check", tmp_path / "coco.json")
    assert result.exit_code == 1
    for text in ("annotations[0] (id 1): the area is 49, the mask has 42 pixels", "write the number of pixels",
                 "annotations[1] (id 2): the category 7 is not listed", "2 faults"):  # fmt: skip
        assert text in result.output


def test_a_faulty_file_is_refused_or_its_rest_taken(dataset: Path, tmp_path: Path):
    run("export", dataset, "--out", tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text())
    content["annotations"][1]["segmentation"]["counts"] = "0"
    (tmp_path / "coco.json").write_text(json.dumps(content))
    new = ("import", tmp_path / "new", tmp_path / "coco.json", "--images", tmp_path / "images")
    result = run(*new)
    assert result.exit_code == 1 and "annotations[1] (id 2)" in result.stderr
    assert not (tmp_path / "new").exists()
    result = run(*new, "--skip-faulty")
    assert result.exit_code == 0 and "1 objects added" in result.output and "annotations[1] (id 2)" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "dataset"),
        ("export", "dataset", "--out", "x", "--format", "gif"),
        ("export", "dataset", "--out", "x", "--format", "masks", "--polygons", "exact"),
        ("export", "dataset", "--out", "x", "--overlaps", "crop"),
        ("import", "nowhere", "x.json"),
        ("import", "dataset", "x.json", "--classes", "cell"),
        ("import", "dataset", "x.json", "--state", "all"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments).exit_code == 2


def test_other_mistakes_are_one_line(dataset: Path, tmp_path: Path):
    for arguments in (
        ("export", tmp_path / "nowhere", "--out", tmp_path / "x"),
        ("export", dataset, "--out", tmp_path / "x", "--states", "done"),
        ("export", dataset, "--out", tmp_path / "x", "--format", "masks"),
        ("check", tmp_path / "none.json"),
        ("import", dataset, tmp_path / "none.json"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1, result.output
