from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from psalm.conditions import CategoryCondition, VisualPriorCondition
from psalm.errors import StoreError
from psalm.prelabel import prelabel
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.pipeline import HereEngine
from psalm.prelabel.questions import to_prompt
from psalm.prelabel.relabel import relabel
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance
from tests.psalm.prelabel.fakes import FakePredictor

CELLS = CategoryCondition(["cell", "coin"])


def engine(folder: Path, **changes: Any) -> HereEngine:
    return HereEngine(Labeller(FakePredictor(weights_hash="1" * 32, **changes), folder))


@pytest.fixture
def dataset(folder, tmp_path, predictor) -> Path:
    """Seven images with 0, 2, 4 or 6 stripes; stripes are three columns wide."""
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    return tmp_path / "out"


def read(dataset: Path) -> dict[str, Any]:
    content = json.loads((dataset / "relabel.json").read_text())
    assert (content["format"], content["version"], content["weights"]) == ("psalm-relabel", 1, "1" * 32)
    return content | {"images": {entry["path"]: entry for entry in content["images"]}}


def test_the_same_answers_are_no_differences(folder, dataset):
    report = relabel(dataset, engine(folder))
    assert (report.images, report.unchanged, report.mean_iou) == (7, 18, 1.0)
    assert report.added == report.removed == report.changed == 0
    assert read(dataset)["images"] == {}
    assert not (dataset / ".relabel.jsonl").exists()


def test_a_shifted_answer_is_a_change_with_its_iou(folder, dataset, content):
    before = content(dataset)
    report = relabel(dataset, engine(folder, shift=1))
    assert (report.changed, report.unchanged, report.applied) == (18, 0, 0)
    assert report.mean_iou == pytest.approx(0.5)  # two columns of four
    entry = read(dataset)["images"]["image-001.png"]
    assert [each["iou"] for each in entry["changed"]] == [0.5, 0.5]
    assert entry["prompts"] == [{"kind": "categories", "names": ["cell", "coin"]}]
    with AnnotationStore.open(dataset) as store:
        objects = store.objects(entry["image_id"])
    assert {each["object_id"] for each in entry["changed"]} == {found.id for found in objects}
    assert content(dataset) == before


def test_an_answer_elsewhere_comes_and_the_old_one_goes(folder, dataset):
    report = relabel(dataset, engine(folder, shift=2))
    assert (report.added, report.removed, report.changed) == (18, 18, 0)


def test_apply_changes_the_store_and_keeps_ids(folder, dataset, content):
    with AnnotationStore.open(dataset) as store:
        ids = {image.path: [found.id for found in store.objects(image.id)] for image in store.images()}
    report = relabel(dataset, engine(folder, shift=1), apply=True)
    assert report.applied == 7
    with AnnotationStore.open(dataset) as store:
        for image in store.images():
            objects = store.objects(image.id)
            assert [found.id for found in objects] == ids[image.path]
            assert all(found.provenance.weights == "1" * 32 for found in objects)
            assert all(found.provenance.unreviewed for found in objects)
    # What was applied is what the other weights say.
    assert relabel(dataset, engine(folder, shift=1)).unchanged == 18


def test_a_persons_work_is_no_part_of_it(folder, dataset, content):
    with AnnotationStore.open(dataset) as store:
        verified, review, edited = (store.find_image(f"image-00{i}.png") for i in (1, 3, 6))
        store.set_state(verified.id, ImageState.VERIFIED)
        store.set_state(review.id, ImageState.IN_REVIEW)
        first = store.objects(edited.id)[0]
        mask = first.mask()
        mask[:, 3] = True
        store.update_object(first.id, mask=mask)
    before = content(dataset)
    report = relabel(dataset, engine(folder, shift=1), apply=True)
    entries = read(dataset)["images"]
    assert "image-001.png" not in entries
    assert entries["image-003.png"]["applied"] is False and len(entries["image-003.png"]["changed"]) == 6
    assert len(entries["image-006.png"]["changed"]) == 3  # of four; what the person edited is not found as new either
    assert report.added == 0
    after = content(dataset)
    for path in ("image-001.png", "image-003.png"):
        assert after[path, 0] == before[path, 0]
    assert after["image-006.png", 0][-1][0] == before["image-006.png", 0][-1][0]


def test_clicks_are_replayed_and_stay_proposals(folder, dataset, content):
    with AnnotationStore.open(dataset) as store:
        image = store.find_image("image-000.png")  # nothing was found on it
        click = VisualPriorCondition.from_points([(8, 8)], image.size, radius=5)
        origin = Provenance("model", "fake", "0" * 32, to_prompt(click), {})
        mask = click.masks[0]
        store.add_objects(
            image.id, [NewObject(store.ensure_category("nucleus").id, mask, score=0.8, provenance=origin)]
        )
    before = content(dataset)
    relabel(dataset, engine(folder, shift=1), apply=True)
    entry = read(dataset)["images"]["image-000.png"]
    (change,) = entry["changed"]
    assert change["category"] == "nucleus" and 0.5 < change["iou"] < 1
    assert entry["prompts"][change["prompt"]]["kind"] == "regions"
    assert content(dataset)["image-000.png", 0] == before["image-000.png", 0]


def test_it_goes_on_where_it_was(folder, dataset):
    asked = engine(folder, shift=1)

    def stop(done: int, total: int, name: str) -> None:
        assert total == 7
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relabel(dataset, asked, progress=stop)
    journal = dataset / ".relabel.jsonl"
    journal.write_text(journal.read_text() + '{"image_id": 99, "adde')  # killed in the middle of a line
    second = FakePredictor(weights_hash="1" * 32, shift=1)
    report = relabel(dataset, HereEngine(Labeller(second, folder)))
    assert (len(second.batches), report.images, report.changed) == (4, 7, 18)


def test_failures_are_named(folder, dataset):
    (folder / "image-001.png").unlink()
    report = relabel(dataset, engine(folder))
    assert [failure.file_name for failure in report.failures] == ["image-001.png"]
    with AnnotationStore.open(dataset) as store:
        assert store.find_image("image-001.png").state is ImageState.PREDICTED


def test_no_dataset(folder, tmp_path):
    with pytest.raises(StoreError, match="no annotation store"):
        relabel(tmp_path / "nothing", engine(folder))
