"""Recorded prompts of all kinds, put to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psalm.annotations import Annotations
from psalm.prelabel.exemplar_files import mark
from psalm.prelabel.questions import to_condition

if TYPE_CHECKING:
    from psalm.batch_prediction import PreparedImage
    from psalm.exemplars import Exemplars
    from psalm.predictor import PSALMPredictor

Prompt = Mapping[str, Any]


class Asker:
    """Asks a model what was recorded.

    Parameters
    ----------
    predictor : PSALMPredictor
    image_root : Path
        Where images of exemplars are looked for.
    score_threshold : float, optional
    """

    def __init__(self, predictor: PSALMPredictor, image_root: Path, score_threshold: float | None) -> None:
        self._predictor, self._root, self._score_threshold = predictor, image_root, score_threshold
        # Of the last question, for a folder is asked the same again and again.
        self._marked: tuple[Prompt, list[Exemplars]] | None = None

    def ask(self, images: Sequence[PreparedImage], prompts: Sequence[Prompt]) -> list[list[Annotations]]:
        """The answers about each image, in the order of the prompts.

        Raises
        ------
        ConditionError
            When the model cannot be asked this.
        """
        least = self.least_score(prompts)
        conditions = [to_condition(prompt) for prompt in prompts if prompt["kind"] != "exemplar"]
        if conditions:
            found = self._predictor.predict_each(images, conditions, score_threshold=least)
        else:
            found = [[] for _ in images]
        answers = []
        for image, answer in zip(images, found, strict=True):
            rest = iter(answer)
            answers.append([self._alike(image, p, least) if p["kind"] == "exemplar" else next(rest) for p in prompts])
        return answers

    def least_score(self, prompts: Sequence[Prompt]) -> float | None:
        """The least score of an object that is an answer.

        Nobody looks whether an image shows what a sentence describes, so its best mask has to be good enough.
        """
        if self._score_threshold is not None or any(prompt["kind"] == "regions" for prompt in prompts):
            return self._score_threshold
        return self._predictor.thresholds.score

    def _alike(self, image: PreparedImage, prompt: Prompt, least: float | None) -> Annotations:
        from psalm.encoded import EncodedImage
        from psalm.exemplars import find_alike
        from psalm.image_transform import ImageTransform

        predictor = self._predictor
        if self._marked is None or self._marked[0] != prompt:
            self._marked = (prompt, mark(prompt, self._root, predictor))
        encoded = EncodedImage(predictor.encode_prepared(image), image.frame, ImageTransform(predictor.config))
        return find_alike(predictor, encoded, self._marked[1], least)
