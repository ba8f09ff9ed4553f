"""A session whose answers can be waited for."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.questions import Request
from napari_psalm.core.session import AnnotationSession
from psalm.conditions import Task

SQUARES = CategoryTable.from_text("square")


class Bench:
    """A session with a viewer without a window; `ask` waits for the answer."""

    def __init__(self, predictor: Any, post: Any, image: np.ndarray) -> None:
        self.predictor, self.post = predictor, post
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(image, name="squares")
        self.loaded: list[str] = []
        self.said: list[tuple[str, str]] = []
        self.results: list[Any] = []
        self.session = AnnotationSession(self.viewer, post, self._load)
        self.session.status.connect(lambda text, level: self.said.append((text, level)))
        self.session.painted.connect(lambda _image, labels: self.results.append(labels))

    def _load(self, name: str) -> Any:
        self.loaded.append(name)
        return self.predictor

    def request(self, task: Task = Task.INSTANCE, **changes: Any) -> Request:
        return Request(**({"image": self.image, "task": task, "categories": SQUARES} | changes))

    def ask(self, task: Task = Task.INSTANCE, **changes: Any) -> Any:
        self.session.segment(self.request(task, **changes))
        self.post.wait(lambda: not self.session.runner.busy)
        return self.results[-1] if self.results else None

    @property
    def labels(self) -> Any:
        return self.results[-1]
