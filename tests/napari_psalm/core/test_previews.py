from __future__ import annotations

from typing import Any

import numpy as np

from napari_psalm.core.limits import ClassLimits, Limits
from napari_psalm.core.prompt_layers import PromptLayers
from psalm.coco.rle import decode_segmentation
from psalm.conditions import Task
from tests.napari_psalm.core.bench import Bench


def _preview(bench: Bench, task: Task = Task.INSTANCE, **changes: Any) -> Any:
    bench.ask(task, preview=True, **changes)
    return bench.session.preview


def test_a_preview_is_written_when_it_is_accepted(bench: Bench) -> None:
    preview = _preview(bench)
    assert preview.layer in bench.viewer.layers
    assert np.unique(preview.layer.data).tolist() == [0, 1, 2, 3]
    assert bench.results == []
    assert bench.said[-1][0] == "3 objects in the preview: accept or reject."
    labels = bench.session.accept()
    assert bench.results == [labels]
    assert list(labels.features["class"]) == ["square"] * 3
    assert not preview.layer.visible
    labels.undo()
    assert not labels.data.any()
    assert bench.session.accept() is None
    assert "no preview" in bench.said[-1][0]


def test_a_rejected_preview_leaves_nothing_behind(bench: Bench) -> None:
    points = bench.viewer.add_points(ndim=2)
    bench.session.marks.adopt(points)
    points.add([[15, 30]])
    _preview(bench, Task.INTERACTIVE, prompts=PromptLayers(points=points))
    bench.session.reject()
    assert len(points.data) == 0
    assert (bench.results, bench.session.preview) == ([], None)
    assert [layer for layer in bench.viewer.layers if layer.visible] == [bench.image, points]


def test_accepting_clears_the_prompts_and_keeps_those_of_other_slices(
    predictor: Any, post: Any, image: np.ndarray
) -> None:
    bench = Bench(predictor, post, np.stack([image, image]))
    points = bench.viewer.add_points(ndim=3)
    bench.session.marks.adopt(points)
    points.add([[0, 15, 10], [1, 15, 30], [0, 15, 50]])
    preview = _preview(bench, Task.INTERACTIVE, prompts=PromptLayers(points=points))
    assert len(preview.found) == 2
    labels = bench.session.accept()
    np.testing.assert_array_equal(points.data, [[1, 15, 30]])
    assert labels.data.any(axis=(1, 2)).tolist() == [True, False]
    bench.session.close()


def test_limits_change_the_preview_without_the_model(bench: Bench) -> None:
    preview = _preview(bench)
    asked = len(bench.predictor.asked)
    bench.session.set_limits(ClassLimits(Limits(score=0.7)))
    assert np.unique(preview.layer.data).tolist() == [0, 1, 2]
    assert list(preview.layer.features["score"]) == [0.9, 0.75]
    bench.session.set_limits(ClassLimits(Limits(score=0.95)))
    assert not preview.layer.data.any()
    assert "lower the score" in bench.said[-1][0]
    bench.session.set_limits(ClassLimits(Limits(score=0.3)))
    assert len(bench.predictor.asked) == asked
    assert len(bench.session.accept().features) == 3


def test_limits_of_a_request_are_used_and_recorded(bench: Bench) -> None:
    labels = bench.ask(limits=ClassLimits(Limits(score=0.8)))
    assert len(labels.features) == 1
    facts = bench.session.annotation_layer(labels).facts(1)
    assert facts.how["thresholds"]["score"] == 0.8
    assert facts.how["prompt"] == {"kind": "categories", "names": ["square"]}
    assert facts.how["model"] == "psalm-tiny"


def test_a_drawn_prompt_is_recorded_at_the_size_of_the_image(bench: Bench) -> None:
    points = bench.viewer.add_points([[15, 28]])
    bench.viewer.canvas.size = (100, 100)
    bench.viewer.scene.camera.center, bench.viewer.scene.camera.zoom = (0, 14.5, 29.5), 5
    labels = bench.ask(Task.INTERACTIVE, prompts=PromptLayers(points=points), in_view=True)
    record = bench.session.annotation_layer(labels).facts(1).how["prompt"]
    assert (record["kind"], record["kinds"]) == ("regions", ["point"])
    rows, columns = np.nonzero(decode_segmentation(record["masks"][0], (40, 60)))
    assert (rows.mean(), columns.mean()) == (15, 28)


def test_another_kind_of_question_accepts_the_preview_first(bench: Bench) -> None:
    _preview(bench)
    _preview(bench, Task.REFERRING, sentence="the left square")
    (labels,) = bench.results
    assert len(labels.features) == 3
    assert bench.session.accept() is labels


def test_the_same_kind_of_question_replaces_the_preview(bench: Bench) -> None:
    first = _preview(bench)
    second = _preview(bench)
    assert bench.session.preview is second is not first
    assert [layer for layer in bench.viewer.layers if layer.visible] == [bench.image, second.layer]
    assert bench.results == []


def test_removing_the_preview_layer_is_rejecting(bench: Bench) -> None:
    shown: list[Any] = []
    bench.session.previewed.connect(shown.append)
    preview = _preview(bench)
    bench.viewer.layers.events.removed.connect(lambda event: bench.session.forget(event.value))
    bench.viewer.layers.remove(preview.layer)
    assert bench.session.preview is None
    assert shown == [preview, None]
    assert len(_preview(bench).found) == 3


def test_an_exclusion_goes_with_every_question(bench: Bench) -> None:
    points = bench.viewer.add_points([[15, 10], [15, 30]], features={"object": [1, 0], "exclude": [False, True]})
    prompts = PromptLayers(points=points)
    assert [one.patch.column for one in _preview(bench, prompts=prompts).found] == [5, 45]
    bench.session.reject()
    preview = _preview(bench, Task.INTERACTIVE, prompts=prompts)
    assert len(bench.predictor.asked[-1]) == 2
    assert [one.patch.column for one in preview.found] == [5]


def test_a_model_that_heeds_exclusions_is_told_of_them(bench: Bench) -> None:
    bench.predictor.heeds_exclusions = True
    points = bench.viewer.add_points([[15, 10], [15, 30]], features={"object": [1, 0], "exclude": [False, True]})
    preview = _preview(bench, Task.INTERACTIVE, prompts=PromptLayers(points=points))
    condition = bench.predictor.asked[-1]
    assert (len(condition), len(condition.excluded)) == (1, 1)
    assert condition.excluded[0, 15, 30]
    assert not condition.excluded[0, 15, 10]
    assert [one.patch.column for one in preview.found] == [5]


def test_an_exclusion_beside_an_object_takes_nothing_of_it(bench: Bench) -> None:
    points = bench.viewer.add_points([[15, 10], [15, 18]], features={"object": [1, 0], "exclude": [False, True]})
    preview = _preview(bench, Task.INTERACTIVE, prompts=PromptLayers(points=points))
    assert [one.patch.area for one in preview.found] == [100]


def test_an_object_is_refined_by_itself_and_replaced(bench: Bench) -> None:
    labels = bench.ask()
    layer = bench.session.annotation_layer(labels)
    rows, columns = np.nonzero(labels.data == 2)
    labels.data_setitem((rows[:60], columns[:60]), 0)
    bench.ask(Task.INTERACTIVE, result=labels, refined=2, category="tile")
    condition = bench.predictor.asked[-1]
    assert (condition.kinds, int(condition.masks.sum())) == (("mask",), 40)
    assert 2 not in layer.ids
    assert int((labels.data == labels.data[15, 30]).sum()) == 100
    bench.session.segment(bench.request(Task.INTERACTIVE, result=labels, refined=99))
    assert "no object 99 here" in bench.said[-1][0]


def test_the_view_alone_is_shown_to_the_model_and_its_objects_land_in_place(bench: Bench) -> None:
    bench.viewer.canvas.size = (100, 100)
    bench.viewer.scene.camera.center, bench.viewer.scene.camera.zoom = (0, 14.5, 29.5), 5
    labels = bench.ask(in_view=True)
    assert bench.predictor.objects.shape == (20, 20)
    expected = np.zeros((40, 60), dtype=bool)
    expected[10:20, 25:35] = True
    np.testing.assert_array_equal(labels.data > 0, expected)
    bench.viewer.scene.camera.center = (0, 14.5, 500)
    bench.session.segment(bench.request(in_view=True))
    assert "out of view" in bench.said[-1][0]


def test_replacing_in_a_view_spares_what_reaches_out_of_it(bench: Bench) -> None:
    labels = bench.ask()
    bench.viewer.canvas.size = (100, 100)
    bench.viewer.scene.camera.center, bench.viewer.scene.camera.zoom = (0, 14.5, 19.5), 5
    before = labels.data.copy()
    bench.ask(in_view=True, replace=True, result=labels)
    np.testing.assert_array_equal(labels.data > 0, before > 0)
    assert {1, 2} <= set(np.unique(labels.data).tolist())


def test_a_large_image_is_looked_at_with_fewer_pixels(predictor: Any, post: Any) -> None:
    pixels = np.zeros((5000, 4200), dtype=np.uint8)
    pixels[1000:1400, 3000:3300] = 255
    bench = Bench(predictor, post, pixels)
    labels = bench.ask()
    assert predictor.objects.shape == (2500, 2100)
    np.testing.assert_array_equal(labels.data > 0, pixels > 0)
    bench.session.close()


def test_a_used_up_model_says_what_to_do(bench: Bench) -> None:
    bench.predictor.tokens = 4
    preview = _preview(bench)
    assert preview.answer.tokens == (4, 4)
    assert bench.said[-1] == (
        "3 objects in the preview: accept or reject. "
        "4 of 4 mask tokens used: zoom in and choose View, or choose Tiles.",
        "problem",
    )


def test_a_preview_in_a_slice_is_seen_in_that_slice_only(predictor: Any, post: Any, image: np.ndarray) -> None:
    bench = Bench(predictor, post, np.stack([image] * 4))
    bench.image.scale = (3, 0.5, 0.5)
    bench.viewer.dims.set_current_step(0, 2)
    preview = _preview(bench)
    assert preview.layer.data.shape == (1, 40, 60)
    np.testing.assert_allclose(preview.layer.data_to_world((0, 0, 0)), bench.image.data_to_world((2, 0, 0)))
    bench.session.close()


def test_accepting_too_early_accepts_the_answer_that_comes(bench: Bench) -> None:
    bench.predictor.go.clear()
    bench.session.segment(bench.request(preview=True))
    assert bench.session.accept() is None
    bench.predictor.go.set()
    bench.post.wait(lambda: not bench.session.runner.busy)
    assert len(bench.labels.features) == 3
    assert bench.session.preview is None


def test_an_empty_preview_is_not_accepted(bench: Bench) -> None:
    bench.image.data = np.zeros_like(bench.image.data)
    _preview(bench)
    assert bench.session.accept() is None
    assert "empty" in bench.said[-1][0]
    assert len(bench.viewer.layers) == 2


def test_a_preview_that_may_not_be_written_is_kept(bench: Bench) -> None:
    labels = bench.ask()
    labels.data_setitem(np.nonzero(labels.data == 1), 0)
    preview = _preview(bench, result=labels)
    bench.session.annotation_layer(labels).protection = "This image is verified."
    assert bench.session.accept() is None
    assert bench.said[-1] == ("This image is verified.", "problem")
    bench.session.segment(bench.request(Task.REFERRING, sentence="it", result=labels))
    assert not bench.session.runner.busy
    assert bench.session.preview is preview


def test_a_preview_goes_with_its_image(bench: Bench) -> None:
    bench.viewer.layers.events.removed.connect(lambda event: bench.session.forget(event.value))
    _preview(bench)
    bench.viewer.layers.remove(bench.image)
    assert bench.session.preview is None
    assert len(bench.viewer.layers) == 0
