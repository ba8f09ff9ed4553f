"""A predictor that needs no model, and the widget with it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from skimage.measure import label

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, SentenceCondition

with contextlib.suppress(ImportError):
    # Before the first window: after it, Mesa's LLVM would crash the import in any later test that uses torch.
    import triton  # noqa: F401


class FakePredictor:
    """Finds bright objects: all for a class list, the first for a sentence, the one under each region, if any."""

    device = "cpu"
    config = SimpleNamespace(name="fake")

    def __init__(self) -> None:
        self.images = 0
        self.asked: list[Any] = []
        self.thresholds: list[float | None] = []
        self.threads: list[threading.Thread] = []
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None

    def set_image(self, image: Any) -> None:
        """Label the bright objects."""
        self.images += 1
        grey = image if image.ndim == 2 else image.mean(axis=2)
        self.objects = label(grey > 0.5 * max(float(grey.max()), 1e-6))

    def predict(self, condition: Any, task: Any = None, score_threshold: float | None = None) -> Annotations:
        """Answer with the objects."""
        self.asked.append(condition)
        self.thresholds.append(score_threshold)
        self.threads.append(threading.current_thread())
        self.go.wait(10)
        if self.error is not None:
            raise self.error
        found = range(1, int(self.objects.max()) + 1)
        if isinstance(condition, CategoryCondition):
            ids = [1 + (i - 1) % len(condition) for i in found]
            masks = [self.objects == i for i in found]
            categories = tuple(Category(i, name) for i, name in enumerate(condition.names, start=1))
            prompts = [condition.names[i - 1] for i in ids]
        elif isinstance(condition, SentenceCondition):
            masks, ids, prompts = [self.objects == 1], [1], [condition.text]
            categories = (Category(1, condition.text),)
        else:
            answers = [(self._under(region), i) for i, region in enumerate(condition.masks)]
            answers = [(mask, i) for mask, i in answers if mask.any()]
            masks, prompts = [mask for mask, _ in answers], [f"{condition.kinds[i]} {i + 1}" for _, i in answers]
            ids, categories = [1] * len(masks), (Category(1, "object"),)
        stack = np.stack(masks) if masks else np.zeros((0, *self.objects.shape), dtype=bool)
        return Annotations(stack, np.array(ids), np.linspace(0.9, 0.6, len(ids)), categories, tuple(prompts))

    def _under(self, region: Any) -> Any:
        hits = self.objects[region & (self.objects > 0)]
        return self.objects == np.bincount(hits).argmax() if len(hits) else np.zeros_like(region)


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def image() -> np.ndarray:
    """A (40, 60) image with three bright squares at columns 5, 25 and 45."""
    pixels = np.zeros((40, 60), dtype=np.uint8)
    for column in (5, 25, 45):
        pixels[10:20, column : column + 10] = 200
    return pixels


class Post:
    """Stands for the window's thread: runs what the worker hands over when the test waits."""

    def __init__(self) -> None:
        import queue

        self._queue: Any = queue.Queue()

    def __call__(self, function: Callable[[], None]) -> None:
        self._queue.put(function)

    def wait(self, until: Callable[[], bool], timeout: float = 10) -> None:
        """Run handed-over callables until a condition holds."""
        while not until():
            self._queue.get(timeout=timeout)()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def annotator(make_napari_viewer: Any, predictor: FakePredictor, image: np.ndarray) -> Iterator[Any]:
    """The widget docked in a real window with one image."""
    from napari_psalm.widgets.annotator import AnnotatorWidget

    viewer = make_napari_viewer()
    viewer.add_image(image, name="squares")
    widget = AnnotatorWidget(viewer, load=lambda _name: predictor)
    viewer.window.add_dock_widget(widget, name="PSALM")
    yield widget
    widget.shut_down()
