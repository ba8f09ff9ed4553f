"""What an evaluation needs of a predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import Condition, Task
from psalm.config import PSALMConfig

if TYPE_CHECKING:
    from psalm.decoding import Thresholds


class Predictor(Protocol):
    """The part of `psalm.predictor.PSALMPredictor` that is evaluated."""

    @property
    def config(self) -> PSALMConfig:
        """The model's configuration."""

    @property
    def thresholds(self) -> Thresholds:
        """What decides whether a proposal becomes an object."""

    def set_image(self, image: NDArray[Any]) -> None:
        """Encode an image."""

    def predict(
        self, condition: Condition, task: Task | None = None, score_threshold: float | None = None
    ) -> Annotations:
        """Find what the condition asks for."""
