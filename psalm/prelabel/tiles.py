"""Images of a folder that are too large, or hold too many objects, to be asked as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psalm.conditions import CategoryCondition
from psalm.errors import ConditionError
from psalm.prelabel.exemplar_files import mark
from psalm.prelabel.questions import to_condition, to_regions
from psalm.prelabel.records import Found
from psalm.tiling import ImageSource, TilePlan, predict_tiled

if TYPE_CHECKING:
    from psalm.annotations import Annotations
    from psalm.predictor import PSALMPredictor

Prompt = Mapping[str, Any]
OFF, AUTO, OBJECTS = "off", "auto", "objects:"
# Every image is asked as a whole, however large it is and however much was found.
_WHOLE = TilePlan(factor=1e9, most_objects=10**9)


def read_tiles(text: str) -> TilePlan | None:
    """``auto``, ``off``, the side of a tile or ``objects:`` and the size of an object in pixels, as a plan.

    None for off.

    Raises
    ------
    ConditionError
        When it is none of these.
    """
    word = text.strip().lower()
    if word == OFF:
        return None
    if word == AUTO:
        return TilePlan()
    number = word.removeprefix(OBJECTS)
    if not number.isdecimal() or not int(number):
        raise ConditionError(
            f"Tiles cannot be {text!r}: give auto, off, the side of a tile in pixels, or objects: and the diameter of "
            "the objects in pixels, as in objects:128."
        )
    return TilePlan(size=int(number)) if number == word else TilePlan(object_size=int(number))


def name_tiles(plan: TilePlan | None) -> str:
    """A plan as `read_tiles` reads it."""
    if plan is None:
        return OFF
    if plan.size is None and plan.object_size is not None:
        return f"{OBJECTS}{plan.object_size:g}"
    return AUTO if plan.size is None else str(plan.size)


class TiledAsker:
    """Asks about images in tiles, where a plan wants it.

    Parameters
    ----------
    predictor : PSALMPredictor
    image_root : Path
        Where images of exemplars are looked for.
    plan : TilePlan, optional
        No image is cut when not given.
    """

    def __init__(self, predictor: PSALMPredictor, image_root: Path, plan: TilePlan | None) -> None:
        self._predictor, self._root, self.plan = predictor, image_root, plan

    def cuts(self, size: tuple[int, int], prompts: Sequence[Prompt]) -> bool:
        """Whether an image (height, width) is too large to be asked as a whole."""
        return self._applies(prompts) and self.plan.side(size, self._predictor.config) is not None  # type: ignore[union-attr]

    def runs_out(self, answers: Sequence[Annotations], prompts: Sequence[Prompt]) -> bool:
        """Whether so many objects came of one prompt that the model has begun to overlook some."""
        if self.plan is None or not self._applies(prompts):
            return False
        limit = self.plan.limit(self._predictor.config)
        return any(len(found) >= limit for found, prompt in zip(answers, prompts, strict=True) if _is_divisible(prompt))

    def ask(
        self, image: ImageSource, prompts: Sequence[Prompt], least: float | None, batch_size: int = 1
    ) -> tuple[tuple[Found, ...], str, str]:
        """The objects of an image of any size, into which tiles it was cut, and why these may not fit, in words.

        Raises
        ------
        ConditionError
            When the model cannot be asked this.
        """
        found: list[Found] = []
        message = doubt = ""
        for number, prompt in enumerate(prompts):
            predictor, condition, object_size = self._question(prompt)
            plan = _WHOLE if self.plan is None else self.plan.fitted(object_size, image.size, self._predictor.config)
            answer = predict_tiled(predictor, image, condition, plan, score_threshold=least, batch_size=batch_size)
            message = answer.message if _is_divisible(prompt) and answer.looks > 1 else message
            doubt = answer.doubt or doubt
            objects = answer.objects
            categories = {category.id: category for category in objects.categories}
            for category_id, score, rle in zip(objects.category_ids, objects.scores, objects.rles(), strict=True):
                category = categories[int(category_id)]
                found.append(Found(category.name, category.is_thing, rle, float(score), number))
        return tuple(found), message, doubt

    def _applies(self, prompts: Sequence[Prompt]) -> bool:
        return self.plan is not None and any(map(_is_divisible, prompts))

    def _question(self, prompt: Prompt) -> tuple[Any, Any, float | None]:
        """Who is asked, what, and how large the objects are in pixels where that is known."""
        if prompt["kind"] == "regions":
            return self._predictor, to_regions(prompt), None
        if prompt["kind"] != "exemplar":
            return self._predictor, to_condition(prompt), None
        from psalm.exemplars import ExemplarPredictor

        exemplars = mark(prompt, self._root, self._predictor)
        alike = ExemplarPredictor(self._predictor, exemplars)
        return alike, CategoryCondition(tuple(one.name for one in exemplars)), alike.object_size


def _is_divisible(prompt: Prompt) -> bool:
    """Whether the answer may come from parts of the image; a sentence is about the whole of it."""
    return prompt["kind"] in ("categories", "exemplar")
