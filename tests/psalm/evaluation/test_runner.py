"""`evaluate`: 1 for the truth, the known value for a known mistake, for every task."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from psalm.conditions import CategoryCondition, Task, VisualPriorCondition
from psalm.errors import AnnotationError, ConditionError
from psalm.evaluation import choose_images, evaluate, format_report

TASKS = ["interactive", "instance", "semantic", "panoptic", "referring", "generalised-referring"]
HEADLINE = {"interactive": "mean_iou", "instance": "ap", "semantic": "miou", "panoptic": "pq"}


@pytest.mark.parametrize("task", TASKS)
def test_the_truth_is_perfect(folder, knowing, task):
    result = evaluate(knowing, folder / "coco.json", folder, task)
    assert result["overall"][HEADLINE.get(task, "giou")] == pytest.approx(1)
    assert result["images"] == 3 and set(result["per_source"]) == {"lab", "web"}
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    report = format_report(result)
    assert "1.0000" in report and "lab" in report and task in report


@pytest.mark.parametrize("prompt", ["point", "scribble", "box", "mask"])
def test_interactive_of_every_prompt(folder, knowing, shifted, prompt):
    result = evaluate(knowing, folder / "coco.json", folder, "interactive", prompt=prompt)
    # the crowd is not asked for; the stripe of sky does not change when it is rolled
    assert result["overall"]["objects"] == 5 and result["overall"]["mean_iou"] == 1
    result = evaluate(shifted, folder / "coco.json", folder, "interactive", prompt=prompt)
    assert result["per_category"]["cell"]["mean_iou"] == pytest.approx(80 / 120)
    assert result["overall"]["mean_iou"] == pytest.approx((4 * 80 / 120 + 1) / 5)
    assert result["overall"]["ciou"] == pytest.approx((4 * 80 + 240) / (4 * 120 + 240))
    assert result["overall"]["iou_at_least_50"] == 1
    sources = [(3 * 80 / 120 + 1) / 4, 80 / 120]
    assert result["overall"]["mean_iou_over_sources"] == pytest.approx(np.mean(sources))
    assert {task for task, _ in shifted.asked} == {Task.INTERACTIVE}


def test_an_unanswered_prompt_counts_as_zero(folder, knowing, monkeypatch):
    predict = knowing.predict
    monkeypatch.setattr(knowing, "predict", lambda *a, **k: (f := predict(*a, **k)).select(np.arange(len(f) - 1)))
    result = evaluate(knowing, folder / "coco.json", folder, "interactive")
    assert result["overall"]["mean_iou"] == pytest.approx(2 / 5)  # the last of each of three images is missing


def test_many_objects_are_asked_in_small_groups(folder, knowing, monkeypatch):
    monkeypatch.setattr("psalm.evaluation.interactive.REGIONS_AT_ONCE", 2)
    result = evaluate(knowing, folder / "coco.json", folder, "interactive")
    assert result["overall"]["objects"] == 5 and result["overall"]["mean_iou"] == 1
    sizes = [len(condition) for _, condition in knowing.asked if isinstance(condition, VisualPriorCondition)]
    assert sizes == [2, 1, 1, 1]


def test_instance_of_shifted_masks(folder, shifted):
    result = evaluate(shifted, folder / "coco.json", folder, "instance")
    # IoU 0.667 passes 0.50, 0.55, 0.60 and 0.65 of the ten thresholds
    assert result["overall"]["ap"] == pytest.approx(0.4)
    assert result["overall"]["ap50"] == pytest.approx(1) and result["overall"]["ap75"] == 0
    assert result["per_category"] == {
        name: {"ap": pytest.approx(0.4), "ap50": pytest.approx(1), "ap75": 0, "count_error": 0}
        for name in ("cell", "coin")
    }
    assert result["overall"]["recall50"] == result["overall"]["precision50"] == 1
    assert result["overall"]["objects"] == 4


def test_images_are_asked_for_what_they_may_hold(folder, knowing):
    result = evaluate(knowing, folder / "coco.json", folder, "instance")
    asked = [condition.names for _, condition in knowing.asked if isinstance(condition, CategoryCondition)]
    # things only; an exhaustive image for all of its source, the other for what is annotated on it
    assert asked == [("cell", "coin"), ("cell", "coin"), ("cell",)]
    assert any("1 images are not labelled exhaustively" in note for note in result["notes"])
    knowing.asked.clear()
    evaluate(knowing, folder / "coco.json", folder, "panoptic")
    assert knowing.asked[0][1] == CategoryCondition(["cell", "coin", "sky"], [True, True, False])


def test_semantic_of_shifted_masks(folder, shifted):
    result = evaluate(shifted, folder / "coco.json", folder, "semantic")
    cell = result["per_category"]["cell"]["iou"]
    # Two squares on an exhaustive image; two, one of them a crowd, where misses on unlabelled ground are ignored.
    assert cell == pytest.approx(4 * 80 / (2 * 120 + 2 * 100))
    assert result["per_category"]["coin"]["iou"] == pytest.approx(80 / 120)
    assert result["per_category"]["sky"]["iou"] == 1
    assert result["overall"]["miou"] == pytest.approx((cell + 80 / 120 + 1) / 3)
    assert result["overall"]["pixel_accuracy"] == pytest.approx((5 * 80 + 240) / (5 * 100 + 240))


def test_referring_of_shifted_masks(folder, shifted):
    result = evaluate(shifted, folder / "coco.json", folder, "referring")
    overall = result["overall"]
    assert overall["sentences"] == 5
    # three of single cells, one of two cells, and a sentence without object, answered with nothing
    assert overall["giou"] == pytest.approx((4 * 80 / 120 + 1) / 5)
    assert overall["ciou"] == pytest.approx(80 / 120)
    assert overall["iou_at_least_50"] == 1
    tasks = [task for task, _ in shifted.asked]
    assert tasks.count(Task.GENERALISED_REFERRING) == 2 and tasks.count(Task.REFERRING) == 3


def test_split_and_limit(folder, knowing, dataset):
    seen: list[tuple[int, int]] = []
    result = evaluate(
        knowing, folder / "coco.json", folder, "interactive", split="val", progress=lambda *p: seen.append(p)
    )
    assert result["images"] == 2 and result["overall"]["objects"] == 2
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert [image.id for image in choose_images(dataset, None, 2)] == [1, 3]
    assert len(choose_images(dataset, None, 99)) == 3
    with pytest.raises(AnnotationError, match="at least 1"):
        choose_images(dataset, None, 0)


def test_wrong_use_is_named(folder, knowing):
    with pytest.raises(ConditionError, match="no task"):
        evaluate(knowing, folder / "coco.json", folder, "magic")
    with pytest.raises(ConditionError, match="no prompt"):
        evaluate(knowing, folder / "coco.json", folder, "interactive", prompt="wave")
    with pytest.raises(ConditionError, match="takes no prompt"):
        evaluate(knowing, folder / "coco.json", folder, "semantic", prompt="box")
    with pytest.raises(AnnotationError, match="cannot be read"):
        evaluate(knowing, folder / "coco.json", folder, "referring", refs=folder / "none.json")
    Image.fromarray(np.zeros((60, 40), np.uint8)).save(folder / "1.png")
    with pytest.raises(AnnotationError, match="60 x 40 pixels"):
        evaluate(knowing, folder / "coco.json", folder, "interactive")


@pytest.mark.parametrize(
    ("refs", "message"),
    [
        ({}, "no list"),
        ([{"image_id": 1}], "ann_ids, sentences"),
        ([{"image_id": 1, "ann_ids": [4], "sentences": []}], "does not"),
    ],
)
def test_wrong_refs_are_named(folder, knowing, refs, message):
    (folder / "refs.json").write_text(json.dumps(refs))
    with pytest.raises(AnnotationError, match=message):
        evaluate(knowing, folder / "coco.json", folder, "referring")
