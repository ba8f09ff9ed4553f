from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools.coco import COCO

from psalm.conditions import CategoryCondition, SentenceCondition, VisualPriorCondition
from psalm.errors import ConditionError, ImageError, ModelError, OutputError, StoreError
from psalm.prelabel import find_images, prelabel
from psalm.prelabel.dataset import read_runs
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance
from tests.psalm.prelabel.fakes import DEFECT, FakePredictor, make_images

CELLS = CategoryCondition(["cell", "coin"])


def state_of(dataset: Path, path: str) -> ImageState:
    with AnnotationStore.open(dataset, read_only=True) as store:
        image = store.find_image(path)
        assert image is not None
        return image.state


def test_labels_every_image_of_the_tree(folder, tmp_path, predictor, content):
    (folder / "notes.txt").write_text("no image")
    seen = []
    report = prelabel(
        folder,
        tmp_path / "out",
        [CELLS, SentenceCondition("the right one")],
        predictor,
        score_threshold=0.3,
        overlays=True,
        progress=lambda done, total, name: seen.append((done, total, name)),
    )
    stored = content(tmp_path / "out")
    expected = [(20 + i) % 4 * 2 + 1 for i in range(7)]
    assert (report.images, report.objects, report.kept, report.failures) == (7, sum(expected), 0, ())
    by_name = {path: (state, len(objects)) for (path, _), (state, _, _, _, objects) in stored.items()}
    assert by_name == {
        f"{'deep/' if i % 3 == 2 else ''}image-{i:03}.png": ("predicted", number) for i, number in enumerate(expected)
    }
    assert predictor.batches == [1] * 7  # one encoding serves all conditions
    assert set(predictor.asked) == {0.3}
    assert [done for done, _, _ in seen] == [*range(1, 8), 7] and seen[0] == (1, 7, "deep/image-002.png")
    assert (tmp_path / "out" / "overlays" / "deep" / "image-002.png.png").is_file()
    coco = COCO(report.annotations)
    assert len(coco.anns) == sum(expected) and min(coco.anns) == 1
    assert report.page.read_text().startswith("<!doctype html>")


def test_an_object_knows_where_it_comes_from(folder, tmp_path, predictor):
    prelabel(folder, tmp_path / "out", [CELLS, SentenceCondition("the right one")], predictor)
    with AnnotationStore.open(tmp_path / "out") as store:
        image = store.find_image("image-001.png")
        first, *_, last = store.objects(image.id)
    assert first.provenance == Provenance(
        "model", "fake", "0" * 32, {"kind": "categories", "names": ["cell", "coin"]}, {"score": 0.25}
    )
    assert last.provenance.prompt == {"kind": "sentence", "text": "the right one"}
    assert last.mask()[:, 20:].all() and not last.mask()[:, :20].any()


def test_a_second_run_goes_on(folder, tmp_path, predictor, content):
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    before = content(tmp_path / "out")
    Image.fromarray(np.full((8, 9), 2, dtype=np.uint8)).save(folder / "aa.png")
    second = prelabel(folder, tmp_path / "out", [CELLS], predictor)
    after = content(tmp_path / "out")
    assert (second.images, second.kept, len(predictor.batches)) == (1, 7, 8)
    assert {key: after[key] for key in before} == before
    with AnnotationStore.open(tmp_path / "out") as store:
        (run,) = read_runs(store)
    assert (run.images, run.is_finished) == (8, True)


def test_an_interrupted_run_keeps_what_it_has(folder, tmp_path, predictor, content):
    def interrupt(done: int, total: int, name: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prelabel(folder, tmp_path / "out", [CELLS], predictor, progress=interrupt)
    states = [state for state, *_ in content(tmp_path / "out").values()]
    assert sorted(states) == ["predicted"] * 3 + ["todo"] * 4
    assert prelabel(folder, tmp_path / "out", [CELLS], predictor).images == 4
    prelabel(folder, tmp_path / "whole", [CELLS], predictor)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_another_question_has_to_say_what_happens(folder, tmp_path, predictor, content):
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    before = content(tmp_path / "out")
    with pytest.raises(OutputError, match=r"conditions differ.*--existing"):
        prelabel(folder, tmp_path / "out", [CategoryCondition(["cat"])], predictor)
    with pytest.raises(OutputError, match=r"weights differ"):
        prelabel(folder, tmp_path / "out", [CELLS], FakePredictor(weights_hash="1" * 32))
    with pytest.raises(OutputError, match=r"score threshold differ"):
        prelabel(folder, tmp_path / "out", [CELLS], predictor, score_threshold=0.7)
    assert prelabel(folder, tmp_path / "out", [CategoryCondition(["cat"])], predictor, existing="leave").kept == 7
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize(("existing", "expected"), [("add", {"cell", "coin", "cat"}), ("replace", {"cat"})])
def test_add_and_replace(folder, tmp_path, predictor, content, existing, expected):
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    report = prelabel(folder, tmp_path / "out", [CategoryCondition(["cat"])], predictor, existing=existing)
    assert report.images == 7
    objects = [found for *_, objects in content(tmp_path / "out").values() for found in objects]
    assert {name for name, *_ in objects} == expected
    # What is there already is not added a second time.
    before = content(tmp_path / "out")
    prelabel(folder, tmp_path / "out", [CategoryCondition(["cat"])], predictor, existing="add")
    assert content(tmp_path / "out") == before


def test_replace_goes_on_after_an_interruption(folder, tmp_path, predictor, content):
    cats = CategoryCondition(["cat"])

    def interrupt(done: int, total: int, name: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    with pytest.raises(KeyboardInterrupt):
        prelabel(folder, tmp_path / "out", [cats], predictor, existing="replace", progress=interrupt)
    assert prelabel(folder, tmp_path / "out", [cats], predictor).images == 4  # the plain command goes on, too
    assert {name for *_, objects in content(tmp_path / "out").values() for name, *_ in objects} == {"cat"}
    # A finished run that is asked for again does everything again.
    assert prelabel(folder, tmp_path / "out", [cats], predictor, existing="replace").images == 7


def test_what_a_person_made_stays(folder, tmp_path, predictor, content):
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    with AnnotationStore.open(tmp_path / "out") as store:
        taken = [store.find_image(f"image-00{i}.png") for i in (1, 3, 4)]
        for image, state in zip(taken, (ImageState.VERIFIED, ImageState.IN_REVIEW, ImageState.SKIPPED), strict=True):
            store.set_state(image.id, state)
        edited = store.find_image("image-006.png")
        first, second, *_ = store.objects(edited.id)
        mask = first.mask()
        mask[:2] = True
        store.update_object(first.id, mask=mask)
        drawn = np.zeros(edited.size, dtype=bool)
        drawn[15:] = True
        store.add_objects(edited.id, [NewObject(second.category_id, drawn)])
    before = content(tmp_path / "out")
    report = prelabel(folder, tmp_path / "out", [CategoryCondition(["cat"])], predictor, existing="replace")
    after = content(tmp_path / "out")
    assert (report.images, report.kept) == (4, 3)
    for image in taken:
        assert after[image.path, 0] == before[image.path, 0]
    origins = [(found[3].origin, found[0]) for found in after["image-006.png", 0][-1]]
    assert origins == [("both", "cell"), ("hand", "cell"), ("model", "cat"), ("model", "cat")]


def test_a_person_may_take_an_image_up_meanwhile(folder, tmp_path, predictor):
    def take_up(done: int, total: int, name: str) -> None:
        with AnnotationStore.open(tmp_path / "out") as store:
            store.set_state(store.find_image("image-006.png").id, ImageState.IN_REVIEW)

    report = prelabel(folder, tmp_path / "out", [CELLS], predictor, progress=take_up)
    assert (report.images, report.kept) == (6, 1)
    assert state_of(tmp_path / "out", "image-006.png") is ImageState.IN_REVIEW


def test_bad_files_are_listed_and_tried_again(folder, tmp_path, predictor):
    (folder / "bad.png").write_bytes(b"not a picture")
    (folder / "empty.jpg").touch()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)).save(folder / "cut.png")
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((9, 9), DEFECT, dtype=np.uint8)).save(folder / "defect.png")
    report = prelabel(folder, tmp_path / "out", [CELLS], predictor)
    assert report.images == 7
    reasons = {failure.file_name: failure.reason for failure in report.failures}
    assert sorted(reasons) == ["bad.png", "cut.png", "defect.png", "empty.jpg"]
    for name, words in (
        ("bad.png", "not an image"),
        ("empty.jpg", "empty, it has 0 bytes"),
        ("cut.png", "cannot be read"),
        ("defect.png", "shapes do not fit"),
    ):
        assert words in reasons[name] and str(folder) not in reasons[name]
    assert state_of(tmp_path / "out", "bad.png") is ImageState.FAILED
    Image.fromarray(np.zeros((8, 9), dtype=np.uint8)).save(folder / "bad.png")
    again = prelabel(folder, tmp_path / "out", [CELLS], predictor)
    assert again.images == 1 and len(again.failures) == 3
    with AnnotationStore.open(tmp_path / "out", read_only=True) as store:
        (run,) = read_runs(store)
    assert (run.images, run.failed) == (8, 3)
    assert state_of(tmp_path / "out", "bad.png") is ImageState.PREDICTED


def test_a_model_that_fails_on_everything_ends_the_run(tmp_path, predictor):
    for i in range(8):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(np.full((9, 9), DEFECT, dtype=np.uint8)).save(tmp_path / "images" / f"{i}.png")
    with pytest.raises(ModelError, match=r"5 images one after the other.*shapes do not fit"):
        prelabel(tmp_path / "images", tmp_path / "out", [CELLS], predictor)


def test_every_page_is_an_image(tmp_path, predictor, content):
    (tmp_path / "images").mkdir()
    stack = np.arange(5, dtype=np.uint8)[:, None, None] + np.full((5, 12, 40), 40, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "images" / "stack.tif", stack, photometric="minisblack")
    totals = []
    report = prelabel(
        tmp_path / "images", tmp_path / "out", [CELLS], predictor, progress=lambda *now: totals.append(now[1])
    )
    assert report.images == 5 and totals[-1] == 5
    stored = content(tmp_path / "out")
    assert list(stored) == [("stack.tif", page) for page in range(5)]
    assert [len(value[-1]) for value in stored.values()] == [0, 2, 4, 6, 0]
    assert len({value[2] for value in stored.values()}) == 1  # the hash is that of the file


def test_a_file_that_changed_its_size(folder, tmp_path, predictor, content):
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    for name in ("image-001.png", "image-003.png"):
        Image.fromarray(np.full((50, 60), 21, dtype=np.uint8)).save(folder / name)
    with AnnotationStore.open(tmp_path / "out") as store:
        image = store.find_image("image-003.png")
        store.add_objects(image.id, [NewObject(1, np.ones(image.size, dtype=bool))])
    report = prelabel(folder, tmp_path / "out", [CELLS], predictor, existing="replace")
    assert content(tmp_path / "out")["image-001.png", 0][1] == (50, 60)
    assert [failure.file_name for failure in report.failures] == ["image-003.png"]
    assert "has changed" in report.failures[0].reason
    assert len(content(tmp_path / "out")["image-003.png", 0][-1]) == 7


def test_questions_that_a_folder_cannot_answer(folder, tmp_path, predictor):
    region = VisualPriorCondition.from_points([(2, 2)], (20, 30))
    with pytest.raises(ConditionError, match="one image"):
        prelabel(folder, tmp_path / "out", [region], predictor)
    with pytest.raises(ConditionError, match="class list or a sentence"):
        prelabel(folder, tmp_path / "out", [], predictor)
    assert not (tmp_path / "out").exists()


def test_a_dataset_belongs_to_one_folder(folder, tmp_path, predictor):
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    other = make_images(tmp_path / "other", 1)
    with pytest.raises(StoreError, match="belongs to the images below"):
        prelabel(other, tmp_path / "out", [CELLS], predictor)


def test_a_folder_that_cannot_be_written(folder, tmp_path, predictor):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose a folder you may write to"):
        prelabel(folder, tmp_path / "file" / "out", [CELLS], predictor)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path, predictor, content, monkeypatch):
    folder = make_images(tmp_path / "images", 30)
    monkeypatch.setattr("psalm.prelabel.writing._FLUSH_SECONDS", 0)
    opened = AnnotationStore.open

    def open_small(*args, **kwargs):
        store = opened(*args, **kwargs)
        if not store.read_only:
            pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {pages + 4}")
        return store

    monkeypatch.setattr(AnnotationStore, "open", open_small)
    with pytest.raises(OutputError, match="no room left"):
        prelabel(folder, tmp_path / "out", [CELLS], predictor)
    monkeypatch.setattr(AnnotationStore, "open", opened)
    with AnnotationStore.open(tmp_path / "out") as store:
        done = store.counts()[ImageState.PREDICTED]
    assert 0 < done < 30
    assert prelabel(folder, tmp_path / "out", [CELLS], predictor).images == 30 - done
    assert sqlite3.connect(tmp_path / "out" / "psalm.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("out", ["labels", "."])
def test_a_result_below_the_images_is_not_labelled(folder, predictor, content, out):
    for _ in range(2):
        prelabel(folder, folder / out, [CELLS], predictor, overlays=True)
    assert len(content(folder / out)) == 7


def test_folders_without_images(tmp_path):
    with pytest.raises(ImageError, match="no folder"):
        find_images(tmp_path / "missing")
    (tmp_path / ".hidden.png").touch()
    with pytest.raises(ImageError, match="holds no image"):
        find_images(tmp_path)


def test_a_name_that_cannot_be_kept_is_a_failure(folder, tmp_path, predictor):
    try:
        shutil.copy(folder / "image-000.png", bytes(folder) + b"/\xff.png")
    except OSError:
        pytest.skip("this file system has Unicode names only")
    report = prelabel(folder, tmp_path / "out", [CELLS], predictor)
    assert report.images == 7
    assert "not valid Unicode" in report.failures[0].reason


class TestEarlierVersion:
    """``coco.json`` and ``prelabel.json`` without a store."""

    @pytest.fixture
    def out(self, folder, tmp_path, predictor) -> Path:
        out = tmp_path / "out"
        prelabel(folder, out, [CELLS, SentenceCondition("the right one")], predictor)
        for path in out.glob("psalm.db*"):
            path.unlink()
        coco = json.loads((out / "coco.json").read_text())
        last = coco["images"].pop()
        coco["annotations"] = [found for found in coco["annotations"] if found["image_id"] != last["id"]]
        (out / "coco.json").write_text(json.dumps(coco))
        return out

    def write_record(self, out: Path) -> None:
        question = {"model": "fake", "conditions": [["cell", "coin"], "the right one"], "score_threshold": None}
        (out / "prelabel.json").write_text(json.dumps({"question": question, "failed": []}))

    def test_is_taken_over(self, folder, out, predictor, content):
        self.write_record(out)
        before = json.loads((out / "coco.json").read_text())
        report = prelabel(folder, out, [CELLS, SentenceCondition("the right one")], predictor)
        assert (report.images, report.kept) == (1, 6)
        after = json.loads((out / "coco.json").read_text())
        assert len(after["images"]) == 7
        assert {image["file_name"] for image in before["images"]} < {image["file_name"] for image in after["images"]}
        by_kind = {found[0]: found[3].prompt["kind"] for *_, objects in content(out).values() for found in objects}
        assert by_kind == {"cell": "categories", "coin": "categories", "the right one": "sentence"}
        masks = [a["segmentation"] for a in before["annotations"]]
        assert all(mask in [a["segmentation"] for a in after["annotations"]] for mask in masks)

    def test_but_not_where_a_person_has_begun(self, folder, out, predictor):
        self.write_record(out)
        with AnnotationStore.create(out, folder) as store:
            image = store.ensure_image("image-001.png", 0, 21, 40)
            store.set_state(image.id, ImageState.VERIFIED)
        prelabel(folder, out, [CELLS, SentenceCondition("the right one")], predictor)
        assert state_of(out, "image-001.png") is ImageState.VERIFIED
        with AnnotationStore.open(out) as store:
            assert store.objects(image.id) == []

    def test_and_refused_without_its_record(self, folder, out, predictor):
        before = (out / "coco.json").read_bytes()
        with pytest.raises(OutputError, match="not written by this command"):
            prelabel(folder, out, [CELLS], predictor)
        assert (out / "coco.json").read_bytes() == before
        assert not AnnotationStore.exists(out)
