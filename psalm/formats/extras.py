"""What COCO does not know, kept under the key ``psalm`` of each entry so that nothing is lost on the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from psalm.coco.values import as_count, as_number, as_text, shown
from psalm.errors import AnnotationError
from psalm.formats.records import IncomingCategory
from psalm.store import ImageState, Provenance, StoredCategory, StoredImage

_ORIGINS = ("model", "hand", "both")


def category_entry(category: StoredCategory) -> dict[str, Any]:
    """A category as COCO writes it; ``isthing`` and ``color`` are those of COCO panoptic."""
    extras = {"synonyms": list(category.synonyms), "shortcut": category.shortcut}
    return {
        "id": category.id,
        "name": category.name,
        "supercategory": category.supercategory,
        "isthing": int(category.is_thing),
        "color": list(category.colour),
        "psalm": {key: value for key, value in extras.items() if value},
    }


def image_entry(image: StoredImage) -> dict[str, Any]:
    """An image as COCO writes it; a page of a stack has the stack as ``parent`` and its page as ``frame``."""
    entry: dict[str, Any] = {"id": image.id, "file_name": image.path, "height": image.height, "width": image.width}
    if image.page:
        # A name of its own: opening the stack under its own name would show the first page.
        entry |= {"file_name": f"{image.path}#page={image.page}", "parent": image.path, "frame": image.page}
    extras = {"state": image.state.value, "error": image.error, "content_hash": image.content_hash}
    return entry | {"psalm": {key: value for key, value in extras.items() if value}}


def object_extras(provenance: Provenance) -> dict[str, Any]:
    """Where an object comes from; what is empty is left out."""
    values = {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(provenance).items()}
    return {"prompt": _words(provenance.prompt), "provenance": {name: value for name, value in values.items() if value}}


def _words(prompt: Mapping[str, Any]) -> str:
    """What was asked, for readers that show it."""
    names = prompt.get("names")
    return str(prompt.get("text", "")) or (", ".join(map(str, names)) if isinstance(names, list) else "")


def extras_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``psalm`` entry of a record; empty when there is none.

    Raises
    ------
    AnnotationError
        When it holds what no store can hold.
    """
    extras = record.get("psalm")
    if not isinstance(extras, Mapping):
        return {}
    try:
        json.dumps(extras, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"'psalm' holds text or numbers that cannot be kept ({error}): remove it.") from error
    return extras


def read_score(record: Mapping[str, Any]) -> float | None:
    """The score of an object; None where there is none.

    Raises
    ------
    AnnotationError
        When it is not a number from 0 to 1.
    """
    score = as_number(record.get("score"))
    if score is None and record.get("score") is None:
        return None
    if score is None or not 0 <= score <= 1:
        raise AnnotationError(f"The score is {shown(record['score'])}: give a number from 0 to 1, or leave it out.")
    return score


def read_provenance(extras: Mapping[str, Any]) -> Provenance | None:
    """Provenance as `object_extras` wrote it; None when the file has none.

    Raises
    ------
    AnnotationError
        When it is damaged.
    """
    written = extras.get("provenance")
    if not isinstance(written, Mapping):
        return None
    origin = written.get("origin", "hand")
    texts = {name: written.get(name, "") for name in ("model", "weights", "edited_at")}
    mappings = {name: written.get(name, {}) for name in ("prompt", "thresholds")}
    edited = as_count(written.get("edited_pixels", 0))
    fine = all(isinstance(value, str) for value in texts.values()) and all(
        isinstance(value, Mapping) for value in mappings.values()
    )
    if origin not in _ORIGINS or not fine or edited is None:
        raise AnnotationError(f"The provenance {shown(dict(written))} is damaged: mend it, or remove it.")
    return Provenance(origin, edited_pixels=edited, **texts, **mappings)


def read_image_extras(extras: Mapping[str, Any]) -> dict[str, Any]:
    """State, error and hash of an image, as arguments of `IncomingImage`.

    Raises
    ------
    AnnotationError
        When they are damaged.
    """
    texts = {name: extras.get(name, "") for name in ("error", "content_hash")}
    state = extras.get("state")
    known = state is None or state in [member.value for member in ImageState]
    if not known or not all(isinstance(value, str) for value in texts.values()):
        raise AnnotationError(f"The image's 'psalm' entry {shown(dict(extras))} is damaged: mend it, or remove it.")
    return texts | {"state": None if state is None else ImageState(state)}


def read_category(name: str, key: int | str, record: Mapping[str, Any]) -> IncomingCategory:
    """A category of a COCO file, with psalm's extras where it has them.

    Raises
    ------
    AnnotationError
        When the extras are damaged.
    """
    extras = extras_of(record)
    synonyms, shortcut = extras.get("synonyms", []), extras.get("shortcut", "")
    fine = isinstance(synonyms, list) and all(isinstance(text, str) and text.strip() for text in synonyms)
    if not fine or not isinstance(shortcut, str):
        raise AnnotationError(f"The category's 'psalm' entry {shown(dict(extras))} is damaged: mend it, or remove it.")
    return IncomingCategory(
        name,
        key if isinstance(key, int) and key > 0 else None,
        bool(record.get("isthing", 1)),
        as_text(record.get("supercategory")) or "",
        tuple(synonyms),
        _colour(record.get("color")),
        shortcut,
    )


def _colour(value: Any) -> tuple[int, int, int] | None:
    """Other programs write colours as names or hexadecimal numbers, and do not mind losing them."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    channels = [as_count(channel) for channel in value]
    if any(channel is None or channel > 255 for channel in channels):
        return None
    return int(value[0]), int(value[1]), int(value[2])
