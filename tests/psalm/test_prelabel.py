from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from psalm.conditions import CategoryCondition, SentenceCondition, VisualPriorCondition
from psalm.errors import ConditionError, ImageError, OutputError
from psalm.prelabel import find_images, prelabel

CELLS = CategoryCondition(["cell", "coin"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(["b.png", "a.jpg", "deep/a.png"]):
        Image.fromarray(np.full((20, 30 + i), 90, dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def names_in(path: Path) -> list[str]:
    return [image["file_name"] for image in json.loads(path.read_text())["images"]]


def test_labels_every_image_of_the_tree(folder, tmp_path, fake_predictor):
    seen = []
    report = prelabel(
        folder,
        tmp_path / "out",
        [CELLS, SentenceCondition("the right one")],
        fake_predictor,
        score_threshold=0.3,
        overlays=True,
        progress=lambda done, total, name: seen.append((done, total, name)),
    )
    assert (report.images, report.objects, report.kept, report.failures) == (3, 9, 0, ())
    assert names_in(report.annotations) == ["a.jpg", "b.png", "deep/a.png"]
    assert seen == [(0, 3, "a.jpg"), (1, 3, "b.png"), (2, 3, "deep/a.png"), (3, 3, "")]
    assert len(fake_predictor.images) == 3  # one encoding serves all conditions
    assert set(fake_predictor.asked_thresholds) == {0.3}
    assert (tmp_path / "out" / "overlays" / "deep" / "a.png.png").is_file()
    coco = COCO(report.annotations)
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["cell", "coin", "the right one"]
    assert coco.annToMask(coco.loadAnns(coco.getAnnIds(imgIds=[2], catIds=[3]))[0])[:, 15:].all()


def test_a_second_run_goes_on(folder, tmp_path, fake_predictor):
    first = prelabel(folder, tmp_path / "out", [CELLS], fake_predictor)
    before = json.loads(first.annotations.read_text())
    Image.fromarray(np.zeros((8, 9), dtype=np.uint8)).save(folder / "aa.png")
    second = prelabel(folder, tmp_path / "out", [CELLS], fake_predictor)
    after = json.loads(second.annotations.read_text())
    assert (second.images, second.kept) == (1, 3)
    assert len(fake_predictor.images) == 4
    assert after["images"][:3] == before["images"]
    assert after["annotations"][:6] == before["annotations"]
    assert after["images"][3]["id"] == 4


def test_an_interrupted_run_keeps_what_it_has(folder, tmp_path, fake_predictor):
    def interrupt(done: int, total: int, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prelabel(folder, tmp_path / "out", [CELLS], fake_predictor, progress=interrupt)
    assert names_in(tmp_path / "out" / "coco.json") == ["a.jpg", "b.png"]
    assert prelabel(folder, tmp_path / "out", [CELLS], fake_predictor).images == 1


def test_another_question_does_not_replace_the_first(folder, tmp_path, fake_predictor):
    path = prelabel(folder, tmp_path / "out", [CELLS], fake_predictor).annotations
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"conditions differ.*--overwrite"):
        prelabel(folder, tmp_path / "out", [CategoryCondition(["cat"])], fake_predictor)
    assert path.read_bytes() == before
    report = prelabel(folder, tmp_path / "out", [CategoryCondition(["cat"])], fake_predictor, overwrite=True)
    assert (report.images, report.kept) == (3, 0)


def test_a_file_that_is_not_ours_is_left_alone(folder, tmp_path, fake_predictor):
    (tmp_path / "coco.json").write_text("mine")
    with pytest.raises(OutputError, match="not written by this command"):
        prelabel(folder, tmp_path, [CELLS], fake_predictor)
    assert (tmp_path / "coco.json").read_text() == "mine"


def test_bad_files_are_listed_and_tried_again(folder, tmp_path, fake_predictor):
    (folder / "bad.png").write_bytes(b"not a picture")
    report = prelabel(folder, tmp_path / "out", [CELLS], fake_predictor)
    assert report.images == 3
    assert [failure.file_name for failure in report.failures] == ["bad.png"]
    record = json.loads((tmp_path / "out" / "prelabel.json").read_text())
    assert record["failed"][0]["file_name"] == "bad.png" and record["failed"][0]["reason"]
    Image.fromarray(np.zeros((8, 9), dtype=np.uint8)).save(folder / "bad.png")
    again = prelabel(folder, tmp_path / "out", [CELLS], fake_predictor)
    assert (again.images, again.failures) == (1, ())


@pytest.mark.parametrize("out", ["labels", "."])
def test_a_result_below_the_images_is_not_labelled(folder, fake_predictor, out):
    for _ in range(2):
        report = prelabel(folder, folder / out, [CELLS], fake_predictor, overlays=True)
    assert names_in(report.annotations) == ["a.jpg", "b.png", "deep/a.png"]


def test_questions_that_a_folder_cannot_answer(folder, tmp_path, fake_predictor):
    region = VisualPriorCondition.from_points([(2, 2)], (20, 30))
    with pytest.raises(ConditionError, match="one image"):
        prelabel(folder, tmp_path / "out", [region], fake_predictor)
    with pytest.raises(ConditionError, match="class list or a sentence"):
        prelabel(folder, tmp_path / "out", [], fake_predictor)
    assert not (tmp_path / "out").exists()


def test_folders_without_images(tmp_path):
    with pytest.raises(ImageError, match="no folder"):
        find_images(tmp_path / "missing")
    (tmp_path / ".hidden.png").touch()
    with pytest.raises(ImageError, match="holds no image"):
        find_images(tmp_path)
