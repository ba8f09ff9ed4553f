"""Objects that look like those that a user selected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_psalm.core.examples import Examples, take_examples
from napari_psalm.core.limits import ClassLimits, Limits
from psalm.annotations import Annotations, Category
from psalm.errors import AnnotationError
from tests.napari_psalm.core.bench import Bench


class Memory:
    """What stands for the model's memory of an example: its brightness."""

    def __init__(self, name: str, values: list[float]) -> None:
        self.name, self.values = name, values

    def joined(self, other: Memory) -> Memory:
        return Memory(self.name, self.values + other.values)


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Objects are alike as their brightness is; records what is marked."""
    import psalm.exemplars

    marked: list[Any] = []

    def mark(_predictor: Any, image: Any, masks: Any, name: str) -> Memory:
        marked.append((name, image.shape, len(masks)))
        return Memory(name, [float(image[mask].mean()) for mask in masks])

    def find(predictor: Any, image: Any, exemplars: Any, least: float) -> Annotations:
        predictor.set_image(image)
        found = []
        for i in range(int(predictor.objects.max())):
            mask = predictor.objects == i + 1
            far = [abs(np.mean(one.values) - image[mask].mean()) for one in exemplars]
            found.append((1 - min(far) / 255, int(np.argmin(far)) + 1, mask))
        scores, kinds, masks = zip(*found, strict=True)
        categories = tuple(Category(k + 1, one.name) for k, one in enumerate(exemplars))
        return Annotations(np.stack(masks), np.array(kinds), np.array(scores, np.float32), categories)

    monkeypatch.setattr(psalm.exemplars, "mark_exemplars", mark)
    monkeypatch.setattr(psalm.exemplars, "find_alike", find)
    return marked


def _marked(bench: Bench, *objects: tuple[int, str]) -> Any:
    """The bench's image with squares of three brightnesses, and objects painted at columns."""
    labels = bench.viewer.add_labels(np.zeros((40, 60), np.uint32), name="objects")
    layer = bench.session.annotation_layer(labels)
    for i, (column, name) in enumerate(objects, start=1):
        layer.next_category = name
        labels.data_setitem(tuple(np.mgrid[10:20, column : column + 10].reshape(2, -1)), i)
    return layer


def test_what_is_like_the_selected_object_gets_its_class(bench: Bench, alike: list[Any]) -> None:
    bench.image.data[10:20, 45:55] = 120
    layer = _marked(bench, (5, "tile"))
    examples = take_examples(bench.viewer, bench.image, layer, [1])
    assert examples.words == "1 tile from squares"
    bench.session.segment(bench.request(examples=examples, preview=True, result=layer.layer))
    bench.post.wait(lambda: not bench.session.runner.busy)
    preview = bench.session.preview
    assert [found.category for found in preview.objects] == ["tile"] * 3
    assert sorted(found.score for found in preview.found)[0] == pytest.approx(1 - 80 / 255)
    bench.session.set_limits(ClassLimits(Limits(score=0.9)))
    assert len(preview.found) == 2  # the dim square is less alike
    bench.session.accept()
    assert list(layer.table["class"]) == ["tile", "tile"]
    assert list(layer.table["prompt"]) == ["by hand", "like tile"]


def test_examples_are_looked_for_in_another_image_and_marked_once(bench: Bench, alike: list[Any]) -> None:
    layer = _marked(bench, (5, "tile"), (25, "tile"))
    examples = take_examples(bench.viewer, bench.image, layer, [1, 2])
    other = np.zeros((30, 50), np.uint8)
    other[4:12, 30:38] = 200
    image = bench.viewer.add_image(other, name="other")
    bench.ask(examples=examples, image=image)
    labels = bench.ask(examples=examples, image=image)
    assert alike == [("tile", (40, 60), 2)]
    assert labels.data.shape == (30, 50)
    assert list(labels.features["class"]) == ["tile"]
    assert list(labels.features["task"]) == ["examples"]


def test_examples_of_several_classes_and_images_are_kept_apart(bench: Bench, alike: list[Any]) -> None:
    bench.image.data[10:20, 45:55] = 120
    layer = _marked(bench, (5, "bright"), (45, "dim"))
    examples = take_examples(bench.viewer, bench.image, layer, [1, 2])
    assert examples.names == ("bright", "dim")
    labels = bench.ask(examples=examples)
    assert list(labels.features["class"]) == ["bright", "bright", "dim"]
    joined = examples.joined(take_examples(bench.viewer, bench.image, layer, [1]))
    assert len(joined) == 3


def test_of_a_large_image_only_what_lies_around_is_kept(bench: Bench) -> None:
    big = bench.viewer.add_image(np.zeros((3000, 3000), np.uint8), name="big")
    labels = bench.viewer.add_labels(np.zeros((3000, 3000), np.uint32))
    layer = bench.session.annotation_layer(labels)
    labels.data_setitem(tuple(np.mgrid[2900:2990, 100:150].reshape(2, -1)), 1)
    (example,) = take_examples(bench.viewer, big, layer, [1]).items
    assert example.pixels.shape == (1024, 1024)
    assert example.masks.sum() == 90 * 50


def test_what_cannot_be_an_example_is_said(bench: Bench) -> None:
    layer = _marked(bench, (5, "tile"))
    with pytest.raises(AnnotationError, match="Choose an object first"):
        take_examples(bench.viewer, bench.image, layer, [])
    with pytest.raises(AnnotationError, match="not on this slice"):
        take_examples(bench.viewer, bench.image, layer, [7])
    bench.session.segment(bench.request(examples=Examples()))
    assert "There is no example" in bench.said[-1][0]
