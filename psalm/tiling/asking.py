"""Ask a model about tiles, and bring the answers back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import Condition, Task
from psalm.config import PSALMConfig
from psalm.cutouts import Cutout
from psalm.tiling.source import Box, ImageSource

if TYPE_CHECKING:
    from psalm.decoding import Thresholds


class Predictor(Protocol):
    """The part of `psalm.predictor.PSALMPredictor` that tiles need."""

    @property
    def config(self) -> PSALMConfig:
        """The model's configuration."""

    @property
    def thresholds(self) -> Thresholds:
        """What decides whether a proposal becomes an object."""

    def predict_batch(
        self,
        images: Sequence[NDArray[Any]],
        condition: Condition | Sequence[Condition],
        task: Task | str | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> list[Annotations]:
        """Find what conditions ask for in several images."""


@dataclass(frozen=True)
class Question:
    """What every tile is asked, and with which limits.

    Parameters
    ----------
    predictor : Predictor
    task : Task or str, optional
    score_threshold : float, optional
    thresholds : Thresholds, optional
        As in `PSALMPredictor.predict`.
    batch_size : int
        Tiles per pass.
    """

    predictor: Predictor
    task: Task | str | None = None
    score_threshold: float | None = None
    thresholds: Thresholds | None = None
    batch_size: int = 1

    @property
    def model_size(self) -> int:
        """Side of the model's input in pixels."""
        return self.predictor.config.image_size

    @property
    def limits(self) -> Thresholds:
        """The thresholds that hold."""
        return self.thresholds or self.predictor.thresholds

    def ask(self, tiles: Sequence[NDArray[np.uint8]], conditions: Sequence[Condition]) -> list[Annotations]:
        """The answers about tiles, at the tiles' size."""
        return self.predictor.predict_batch(tiles, conditions, self.task, self.score_threshold, self.thresholds)

    def read(self, source: ImageSource, window: Box) -> NDArray[np.uint8]:
        """A window no finer than the model can use."""
        longest = max(window[2] - window[0], window[3] - window[1])
        return source.read(window, max(longest / self.model_size, 1.0))


def to_image(mask: NDArray[np.bool_], window: Box) -> Cutout | None:
    """A mask (h, w) that spans a window, at the window's own size."""
    height, width = window[2] - window[0], window[3] - window[1]
    cutout = Cutout.from_mask(mask)
    if cutout is None:
        return None
    if mask.shape == (height, width):
        return cutout.moved(window[0], window[1])
    factors = height / mask.shape[0], width / mask.shape[1]
    (r0, c0, r1, c1), part = cutout.box, cutout.mask()
    box = round(r0 * factors[0]), round(c0 * factors[1]), round(r1 * factors[0]), round(c1 * factors[1])
    shape = max(box[2] - box[0], 1), max(box[3] - box[1], 1)
    return Cutout.from_mask(resized(part, shape), (window[0] + box[0], window[1] + box[1]))


def resized(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (h, w) at another size, its outline smooth."""
    from PIL import Image

    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BILINEAR)) > 127
