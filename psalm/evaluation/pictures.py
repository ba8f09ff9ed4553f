"""A page of the best, middling and worst cases: image, truth and answer side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from psalm.annotations import Annotations, Category
from psalm.evaluation.benchmark import Benchmark, Picture, Record
from psalm.evaluation.predictor import Predictor
from psalm.files import replacing
from psalm.overlay import draw_overlay

_CELL = (300, 225)  # width, height
_GAP, _LINE, _FONT = 8, 22, 15
_GROUPS = ("best", "median", "worst")


def ranked(records: Mapping[int, Record], per_group: int) -> dict[str, list[int]]:
    """The items with the highest, the middle and the lowest quality; no item twice, items without quality left out."""
    order = sorted((i for i in records if records[i]["quality"] is not None), key=lambda i: -records[i]["quality"])
    best, rest = order[:per_group], order[per_group:]
    worst, rest = (rest[-per_group:], rest[:-per_group]) if rest else ([], [])
    start = max((len(rest) - per_group) // 2, 0)
    return dict(zip(_GROUPS, (best, rest[start : start + per_group], worst), strict=True))


def write_pictures(
    path: Path | str, benchmark: Benchmark, predictor: Predictor, records: Mapping[int, Record], per_group: int = 3
) -> Path:
    """Ask the chosen items once more and draw them on one page.

    Parameters
    ----------
    path : path
        PNG or JPEG.
    benchmark : Benchmark
    predictor : PSALMPredictor
    records : mapping of int to record
        Of all items.
    per_group : int
        Items of each group.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    groups = ranked(records, per_group)
    rows = [
        (f"{group}, {100 * records[item]['quality']:.1f}", benchmark.picture(item, predictor))
        for group in _GROUPS
        for item in groups[group]
    ]
    page = draw_page(rows)
    with replacing(path) as temporary:
        Image.fromarray(page).save(temporary)
    return Path(path)


def draw_page(rows: Sequence[tuple[str, Picture]]) -> NDArray[np.uint8]:
    """A row per case: the image, with the truth, with the answer; above it its title and what was asked.

    Parameters
    ----------
    rows : sequence of (title, Picture)
    """
    width = 3 * _CELL[0] + 4 * _GAP
    height = _LINE + _GAP + len(rows) * (_LINE + _CELL[1] + _GAP)
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(_FONT)
    for column, title in enumerate(("image", "truth", "answer")):
        pen.text((_GAP + column * (_CELL[0] + _GAP), 4), title, fill="black", font=font)
    for number, (title, picture) in enumerate(rows):
        top = _LINE + _GAP + number * (_LINE + _CELL[1] + _GAP)
        pen.text((_GAP, top), _shortened(f"{title}: {picture.caption}", pen, font, width), fill="black", font=font)
        shown = (picture.image, _with(picture.image, picture.truth), _with(picture.image, picture.answer))
        for column, pixels in enumerate(shown):
            cell = Image.fromarray(pixels)
            cell.thumbnail(_CELL)
            page.paste(cell, (_GAP + column * (_CELL[0] + _GAP), top + _LINE))
    return np.asarray(page)


def _with(image: NDArray[np.uint8], masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    count = len(masks)
    objects = Annotations(masks, np.ones(count, np.int64), np.ones(count, np.float32), (Category(1, "object"),))
    return draw_overlay(image, objects, labels=False)


def _shortened(text: str, pen: Any, font: Any, width: int) -> str:
    """As much of a text as fits on a line; the default font has no letters beyond Latin-1."""
    plain = text.encode("latin-1", "replace").decode("latin-1")
    if pen.textlength(plain, font=font) <= width - 2 * _GAP:
        return plain
    while plain and pen.textlength(f"{plain} ...", font=font) > width - 2 * _GAP:
        plain = plain[:-1]
    return f"{plain} ..."
