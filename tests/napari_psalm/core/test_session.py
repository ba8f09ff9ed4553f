from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.prompt_layers import PromptLayers
from psalm.conditions import Task
from psalm.errors import AnnotationError, CheckpointError
from tests.napari_psalm.core.bench import SQUARES, Bench


def test_a_class_list_becomes_a_labels_layer(bench: Bench) -> None:
    labels = bench.ask()
    assert labels in bench.viewer.layers
    assert np.unique(labels.data).tolist() == [0, 1, 2, 3]
    assert list(labels.features["class"]) == ["square"] * 3
    assert bench.said[-1] == ("3 objects added.", "good")
    assert any("Loading the model psalm-tiny" in text for text, _ in bench.said)
    assert bench.predictor.threads[0] is not threading.current_thread()


def test_the_model_and_the_image_are_read_once(bench: Bench) -> None:
    labels = bench.ask()
    bench.ask(Task.REFERRING, sentence="the left square", result=labels)
    assert (len(bench.loaded), bench.predictor.images) == (1, 1)
    bench.image.data = np.roll(bench.image.data, 2, axis=1)
    bench.ask(result=labels)
    assert bench.predictor.images == 2
    bench.session.use_model("another")
    bench.ask(result=labels)
    assert bench.loaded == ["psalm-tiny", "another"]


def test_the_same_model_is_loaded_again_after_its_preferences_changed(bench: Bench) -> None:
    labels = bench.ask()
    bench.session.use_model("psalm-tiny")
    assert bench.session.loaded_name == ""
    bench.ask(result=labels)
    assert bench.loaded == ["psalm-tiny", "psalm-tiny"]
    assert (bench.predictor.images, bench.session.loaded_name) == (2, "psalm-tiny")


def test_a_sentence_gives_its_object_the_chosen_class(bench: Bench) -> None:
    labels = bench.ask(Task.REFERRING, sentence="the left square", category="tile")
    assert list(labels.features["class"]) == ["tile"]
    assert list(labels.features["prompt"]) == ["the left square"]


def test_only_prompts_without_an_object_are_asked(bench: Bench) -> None:
    points = bench.viewer.add_points([[15, 30]], name="clicks")
    prompts = PromptLayers(points=points)
    labels = bench.ask(Task.INTERACTIVE, prompts=prompts)
    assert list(labels.features["prompt"]) == ["point 1"]
    points.add([[15, 10]])
    bench.ask(Task.INTERACTIVE, prompts=prompts, result=labels)
    assert len(bench.predictor.asked[-1]) == 1
    assert list(labels.features["prompt"]) == ["point 1", "point 2"]
    bench.session.segment(bench.request(Task.INTERACTIVE, prompts=prompts, result=labels))
    assert "Every prompt has its object" in bench.said[-1][0]
    labels.undo()
    bench.ask(Task.INTERACTIVE, prompts=prompts, result=labels)
    assert sorted(labels.features["prompt"]) == ["point 1", "point 2"]


def test_a_prompt_without_an_answer_does_not_shift_the_others(bench: Bench) -> None:
    points = bench.viewer.add_points([[35, 2], [15, 30]], name="clicks")
    labels = bench.ask(Task.INTERACTIVE, prompts=PromptLayers(points=points))
    assert list(labels.features["prompt"]) == ["point 2"]
    bench.ask(Task.INTERACTIVE, prompts=PromptLayers(points=points), result=labels)
    assert len(bench.predictor.asked[-1]) == 1


def test_keep_adds_nothing_twice_and_replace_starts_anew(bench: Bench) -> None:
    labels = bench.ask()
    bench.ask(result=labels)
    assert len(labels.features) == 3
    assert "there already" in bench.said[-1][0]
    bench.ask(result=labels, replace=True)
    assert sorted(labels.features["index"]) == [4, 5, 6]
    assert bench.said[-1][0] == "3 objects added, 3 replaced."


def test_drawing_goes_on_while_results_come(bench: Bench) -> None:
    points = bench.viewer.add_points([[15, 30]])
    bench.ask(Task.INTERACTIVE, prompts=PromptLayers(points=points))
    assert bench.viewer.layers.selection.active is points


@pytest.mark.parametrize(
    ("task", "changes", "cure"),
    [
        (Task.INSTANCE, {"image": None}, "Open Sample"),
        (Task.INSTANCE, {"categories": CategoryTable()}, "one class per line"),
        (Task.REFERRING, {"sentence": "  "}, "describe the object"),
        (Task.INTERACTIVE, {}, "press Points"),
        (Task.INTERACTIVE, {"prompts": PromptLayers(points=Points(ndim=2))}, "click, draw or paint"),
    ],
)
def test_a_wrong_selection_says_what_to_do(bench: Bench, task: Task, changes: dict[str, Any], cure: str) -> None:
    bench.session.segment(bench.request(task, **changes))
    text, level = bench.said[-1]
    assert cure in text
    assert level == "problem"
    assert not bench.session.runner.busy


def test_a_result_layer_of_another_shape_is_refused(bench: Bench) -> None:
    other = bench.viewer.add_labels(np.zeros((4, 4), dtype=np.uint8))
    bench.session.segment(bench.request(result=other))
    assert "New layer" in bench.said[-1][0]


def test_the_latest_question_wins(bench: Bench) -> None:
    bench.predictor.go.clear()
    bench.session.segment(bench.request())
    bench.session.segment(bench.request(Task.REFERRING, sentence="first"))
    bench.session.segment(bench.request(Task.REFERRING, sentence="second"))
    bench.predictor.go.set()
    bench.post.wait(lambda: not bench.session.runner.busy)
    assert list(bench.labels.features["prompt"]) == ["second"]
    assert len(bench.results) == 1


def test_cancel_drops_the_answer(bench: Bench) -> None:
    busy: list[bool] = []
    bench.session.busy.connect(busy.append)
    bench.predictor.go.clear()
    bench.session.segment(bench.request())
    bench.session.cancel()
    bench.predictor.go.set()
    assert busy == [True, False]
    assert bench.said[-1][0] == "Cancelled."
    bench.ask(Task.REFERRING, sentence="next")
    assert len(bench.results) == 1


def test_an_image_removed_meanwhile_drops_the_answer(bench: Bench) -> None:
    bench.predictor.go.clear()
    bench.session.segment(bench.request())
    bench.viewer.layers.remove(bench.image)
    bench.predictor.go.set()
    bench.post.wait(lambda: not bench.session.runner.busy)
    assert "removed meanwhile" in bench.said[-1][0]
    assert len(bench.viewer.layers) == 0


def test_a_result_layer_removed_meanwhile_is_made_anew(bench: Bench) -> None:
    labels = bench.ask()
    bench.predictor.go.clear()
    bench.session.segment(bench.request(result=labels, replace=True))
    bench.viewer.layers.remove(labels)
    bench.session.forget(labels)
    bench.image.name = "renamed"
    bench.predictor.go.set()
    bench.post.wait(lambda: not bench.session.runner.busy)
    assert bench.labels is not labels
    assert bench.labels.name == "renamed objects"
    assert len(bench.labels.features) == 3


def test_the_slice_that_was_asked_gets_the_answer(predictor: Any, post: Any, image: np.ndarray) -> None:
    bench = Bench(predictor, post, np.stack([image, image, image]))
    bench.viewer.dims.set_current_step(0, 2)
    bench.predictor.go.clear()
    bench.session.segment(bench.request())
    bench.viewer.dims.set_current_step(0, 0)
    bench.predictor.go.set()
    bench.post.wait(lambda: not bench.session.runner.busy)
    assert bench.labels.data.any(axis=(1, 2)).tolist() == [False, False, True]
    bench.session.close()


@pytest.mark.parametrize(
    ("error", "text"), [(CheckpointError("no weights: fetch"), "fetch"), (KeyError("x"), "KeyError")]
)
def test_errors_of_the_model_are_said(bench: Bench, error: Exception, text: str) -> None:
    bench.predictor.error = error
    bench.ask()
    assert text in bench.said[-1][0]
    assert bench.said[-1][1] == "problem"
    bench.predictor.error = None
    bench.ask()
    assert len(bench.results) == 1


def test_nothing_found_says_so(bench: Bench) -> None:
    bench.image.data = np.zeros_like(bench.image.data)
    bench.ask()
    assert bench.said[-1] == ("Nothing found: try other words or lower the score.", "problem")


def test_export_writes_what_the_layer_shows(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    with pytest.raises(AnnotationError, match="segment first"):
        bench.session.export(None, path, SQUARES)
    labels = bench.ask()
    labels.data_setitem(np.nonzero(labels.data == 2), 0)
    assert bench.session.export(labels, path, SQUARES) == 2
    content = json.loads(path.read_text())
    assert [annotation["area"] for annotation in content["annotations"]] == [100, 100]
    assert content["images"][0]["file_name"] == "squares.png"
