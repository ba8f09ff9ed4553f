"""A predictor that asks large images and crowded ones in tiles, so that evaluation measures what users of tiles get."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import Condition, Task
from psalm.evaluation.predictor import open_named
from psalm.tiling import TilePlan, predict_tiled


def open_tiled(name: str, plan: TilePlan, device: str | None) -> TiledPredictor:
    """As `open_named`, in tiles."""
    return TiledPredictor(open_named(name, device), plan)


class TiledPredictor:
    """Answers with `psalm.tiling.predict_tiled`; all else is the predictor's own.

    Parameters
    ----------
    predictor : PSALMPredictor
    plan : TilePlan
    """

    def __init__(self, predictor: Any, plan: TilePlan) -> None:
        self._predictor, self.plan = predictor, plan
        self._image: NDArray[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def set_image(self, image: NDArray[Any]) -> None:
        """Remember the image; its tiles are encoded when something is asked."""
        self._image = image

    def predict(
        self,
        condition: Condition,
        task: Task | None = None,
        score_threshold: float | None = None,
        thresholds: Any = None,
    ) -> Annotations:
        """Find what the condition asks for."""
        answer = predict_tiled(
            self._predictor,
            self._image,
            condition,
            self.plan,
            task=task,
            score_threshold=score_threshold,
            thresholds=thresholds,
        )
        return answer.objects.to_annotations()
