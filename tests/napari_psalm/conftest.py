"""A predictor that needs no model, and the widget with it."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from skimage.measure import label

from psalm.conditions import CategoryCondition, SentenceCondition
from psalm.decoding import Thresholds
from psalm.proposals import MaskProposals

with contextlib.suppress(ImportError):
    # Before the first window: after it, Mesa's LLVM would crash the import in any later test that uses torch.
    import triton  # noqa: F401


class FakePredictor:
    """Finds bright objects: all for a class list, the first for a sentence, the one under each region, if any."""

    device = "cpu"
    heeds_exclusions = False

    def __init__(self) -> None:
        self.images = 0
        self.prefetched: list[Any] = []
        self.asked: list[Any] = []
        self.threads: list[threading.Thread] = []
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None
        self.info: dict[str, Any] = {}
        self.tokens = 100

    @property
    def config(self) -> Any:
        """A model image as large as the image, so that masks come back pixel by pixel."""
        size = max(self.objects.shape) if self.images else 1
        return SimpleNamespace(name="fake", image_size=size, num_mask_tokens=self.tokens, mask_generator="two_way")

    @property
    def thresholds(self) -> Any:
        """As a model has them."""
        return Thresholds(score=0.5)

    def set_image(self, image: Any) -> None:
        """Label the bright objects."""
        self.images += 1
        grey = image if image.ndim == 2 else image.mean(axis=2)
        self.objects = label(grey > 0.5 * max(float(grey.max()), 1e-6))

    def prefetch(self, image: Any) -> None:
        """Note what is encoded beforehand."""
        self.prefetched.append(image)

    def predict_proposals(self, condition: Any, task: Any = None) -> Any:
        """A proposal for each object, and an empty one for those who ask about nothing."""
        self.asked.append(condition)
        self.threads.append(threading.current_thread())
        self.go.wait(10)
        if self.error is not None:
            raise self.error
        count, size = int(self.objects.max()), self.config.image_size
        masks = np.full((count + 1, size, size), -8.0, dtype=np.float32)
        for i in range(count):
            masks[i, : self.objects.shape[0], : self.objects.shape[1]][self.objects == i + 1] = 8
        quality = np.append(np.linspace(0.9, 0.6, count), 0.5)
        logits = self._logits(condition, count)
        return MaskProposals(
            torch.from_numpy(masks)[None],
            torch.from_numpy(logits)[None],
            (logits.shape[1],),
            torch.from_numpy(quality.astype(np.float32))[None],
        )

    def _logits(self, condition: Any, count: int) -> np.ndarray:
        if isinstance(condition, CategoryCondition):
            logits = np.full((count + 1, len(condition) + 1), -20.0, dtype=np.float32)
            logits[np.arange(count), np.arange(count) % len(condition)] = 20
            logits[count, -1] = 20
            return logits
        logits = np.full((count + 1, len(condition)), -1e4, dtype=np.float32)
        logits[count] = 0
        if isinstance(condition, SentenceCondition):
            logits[0] = 20
            return logits
        for i, region in enumerate(condition.masks):
            hits = self.objects[region & (self.objects > 0)]
            if len(hits):
                logits[np.bincount(hits).argmax() - 1, i] = 20
        return logits


@pytest.fixture(scope="session", autouse=True)
def _modules_are_no_garbage() -> Iterator[None]:
    """napari's fixture collects garbage after each window, which need not look at every loaded module again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


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

    def wait(self, until: Callable[[], bool], timeout: float = 60) -> None:
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
    widget.preview.first.setChecked(False)  # most tests want the objects at once
    yield widget
    widget.shut_down()
