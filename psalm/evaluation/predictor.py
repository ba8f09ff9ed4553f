"""What an evaluation needs of a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import Condition, Task
from psalm.config import PSALMConfig

if TYPE_CHECKING:
    from psalm.decoding import Thresholds


def open_named(name: str, device: str | None) -> Predictor:
    """A predictor by the name of its model; other processes can be told to call this."""
    from psalm.predictor import PSALMPredictor

    return PSALMPredictor.from_pretrained(name, device=device)


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
        self,
        condition: Condition,
        task: Task | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> Annotations:
        """Find what the condition asks for."""

    def predict_batch(
        self,
        images: Sequence[NDArray[Any]],
        condition: Sequence[Condition],
        task: Task | None = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> list[Annotations]:
        """Ask about several images in one pass; only needed where a batch has several."""
