"""How a class looks and is called besides its name: colour, synonyms, shortcut."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psalm.errors import ConditionError

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class ClassStyle:
    """What was chosen for a class.

    Parameters
    ----------
    colour : (red, green, blue), optional
        0 to 1; made from the id when not given.
    synonyms : tuple of str
        Other names that the model is asked for as well.
    shortcut : int
        Digit 1 to 9 that gives this class; 0 when none was chosen.
    """

    colour: Colour | None = None
    synonyms: tuple[str, ...] = ()
    shortcut: int = 0

    def to_record(self) -> dict[str, Any]:
        """What a COCO category holds of it: ``color`` (0 to 255), ``synonyms``, ``shortcut``."""
        record: dict[str, Any] = {}
        if self.colour is not None:
            record["color"] = list(to_bytes(self.colour))
        if self.synonyms:
            record["synonyms"] = list(self.synonyms)
        if self.shortcut:
            record["shortcut"] = str(self.shortcut)
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ClassStyle:
        """Read a COCO category, a row of a CSV file or a stored category.

        Raises
        ------
        ConditionError
            When a colour or shortcut cannot be read.
        """
        synonyms = record.get("synonyms") or ()
        if isinstance(synonyms, str):
            synonyms = [name.strip() for name in re.split(r"[|;]", synonyms)]
        return cls(
            _read_colour(record.get("color") or record.get("colour")),
            tuple(str(name) for name in synonyms if str(name).strip()),
            _read_shortcut(record.get("shortcut")),
        )


def colour_of(category_id: int) -> Colour:
    """Red, green and blue, 0 to 1, of a category: hues a golden angle apart; grey for 0, no category."""
    if category_id == 0:
        return (0.75, 0.75, 0.75)
    hue = (0.53 + (category_id - 1) * 0.618034) % 1.0
    return colorsys.hsv_to_rgb(hue, 0.65, 0.95)


def to_bytes(colour: Colour) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255."""
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue


def _read_colour(value: Any) -> Colour | None:
    if value in (None, "", ()):
        return None
    if isinstance(value, str) and re.fullmatch(r"#?[0-9a-fA-F]{6}", value.strip()):
        digits = value.strip().lstrip("#")
        parts = [int(digits[i : i + 2], 16) for i in (0, 2, 4)]
    elif isinstance(value, str):
        parts = [int(part) for part in re.findall(r"\d+", value)]
    else:
        parts = [int(part) for part in value]
    if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
        raise ConditionError(f"The colour {value!r} is not known: write #rrggbb, or three numbers from 0 to 255.")
    return (parts[0] / 255, parts[1] / 255, parts[2] / 255)


def _read_shortcut(value: Any) -> int:
    text = str(value or "").strip()
    if not text:
        return 0
    if text not in "123456789":
        raise ConditionError(f"The shortcut {text!r} is not a digit from 1 to 9: choose one of them, or none.")
    return int(text)
