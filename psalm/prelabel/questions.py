"""Conditions as the store records them, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from psalm.coco.rle import cut_out, decode_segmentation, encode_mask
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, VisualPriorCondition
from psalm.cutouts import Cutout, CutoutRegions
from psalm.errors import ConditionError
from psalm.prelabel.exemplar_files import ExemplarFile, exemplar_prompt


def to_prompt(condition: Condition) -> dict[str, Any]:
    """A condition as plain JSON, see `psalm.store.Provenance`.

    A class list with stuff also has ``stuff``, the names that cannot be counted.
    """
    if isinstance(condition, CategoryCondition):
        stuff = [name for name, is_thing in zip(condition.names, condition.is_thing, strict=True) if not is_thing]
        prompt: dict[str, Any] = {"kind": "categories", "names": list(condition.names)}
        return prompt | ({"stuff": stuff} if stuff else {})
    if isinstance(condition, SentenceCondition):
        return {"kind": "sentence", "text": condition.text}
    masks = [encode_mask(mask) for mask in condition.masks]
    return {"kind": "regions", "kinds": list(condition.kinds), "masks": masks}


def to_condition(prompt: Mapping[str, Any]) -> Condition:
    """The condition that a recorded prompt means.

    Raises
    ------
    ConditionError
        When the prompt is of a kind that cannot be asked again, or is damaged.
    """
    kind = prompt.get("kind")
    try:
        if kind == "categories":
            stuff = set(prompt.get("stuff", ()))
            return CategoryCondition(tuple(prompt["names"]), tuple(name not in stuff for name in prompt["names"]))
        if kind == "sentence":
            return SentenceCondition(prompt["text"])
        if kind == "regions":
            masks = [decode_segmentation(code, tuple(code["size"])) for code in prompt["masks"]]
            return VisualPriorCondition(np.stack(masks), tuple(prompt["kinds"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ConditionError(f"A recorded prompt of the kind {kind!r} is damaged ({error}): ask it anew.") from error
    raise ConditionError(f"A recorded prompt of the kind {kind!r} cannot be asked again.")


def to_regions(prompt: Mapping[str, Any]) -> CutoutRegions:
    """The recorded regions of an image of any size; none of their masks is decoded as a whole.

    Raises
    ------
    ConditionError
        When the prompt is damaged.
    """
    try:
        cutouts = [Cutout.from_mask(*cut_out(code)) for code in prompt["masks"]]
        size = tuple(prompt["masks"][0]["size"])
        return CutoutRegions(size, tuple(one for one in cutouts if one is not None), tuple(prompt["kinds"]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConditionError(f"Recorded regions are damaged ({error}): ask them anew.") from error


def folder_prompts(
    conditions: Sequence[Condition], exemplars: Sequence[ExemplarFile] = (), image_root: Path | str = ""
) -> tuple[dict[str, Any], ...]:
    """What is asked of every image of a folder.

    Parameters
    ----------
    conditions : sequence of Condition
    exemplars : sequence of ExemplarFile
        Marked objects, whose like is looked for.
    image_root : path
        The folder; needed with exemplars.

    Raises
    ------
    ConditionError
        When nothing is asked, or a condition belongs to one image.
    """
    if not conditions and not exemplars:
        raise ConditionError("Nothing is asked: give a class list or a sentence.")
    if any(isinstance(condition, VisualPriorCondition) for condition in conditions):
        raise ConditionError("Regions belong to one image: ask a folder with a class list or a sentence.")
    prompts = [to_prompt(condition) for condition in conditions]
    return (*prompts, exemplar_prompt(exemplars, image_root)) if exemplars else tuple(prompts)
