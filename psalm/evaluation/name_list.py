"""The class lists that ask for the classes of a data set, synonyms included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.conditions import CategoryCondition
from psalm.errors import AnnotationError, ConditionError

Synonyms = Literal["published", "joined", "first", "each"]
_MOST_JOINED = 200


@dataclass(frozen=True)
class NameList:
    """Class lists, and the class that each of their names stands for.

    Parameters
    ----------
    conditions : tuple of CategoryCondition
        One, or several when the names are asked in parts.
    class_of : mapping of str to int
    """

    conditions: tuple[CategoryCondition, ...]
    class_of: Mapping[str, int]

    def join(self, answers: Sequence[Annotations]) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float32]]:
        """Masks (N, H, W), classes (N,) and scores (N,) of the answers to all parts."""
        labels = [self.class_of[name] for found in answers for name in found.names]
        return (
            np.concatenate([found.masks for found in answers]),
            np.array(labels, dtype=np.int64),
            np.concatenate([found.scores for found in answers]),
        )


def name_list(
    names: Sequence[str],
    is_thing: Sequence[bool],
    synonyms: Synonyms = "published",
    at_once: int | None = None,
    classes: Sequence[int] | None = None,
) -> NameList:
    """Class lists for some classes.

    Parameters
    ----------
    names : sequence of str
        All classes; one name may list synonyms with commas between them.
    is_thing : sequence of bool
    synonyms : {"published", "joined", "first", "each"}
        joined: the synonyms of a class are one name, commas included. first: only the first is used. each: every
        synonym is a name of its own, and whatever answers it counts for the class; a synonym that two classes share
        stands for the first of them. published: joined, but first where there are more than 200 classes, as in the
        published evaluation.
    at_once : int, optional
        At most so many names in one prompt; all when not given, as published.
    classes : sequence of int, optional
        Positions of the classes to ask for; all when not given.

    Raises
    ------
    ConditionError
        When `synonyms` is unknown, or a class has no name of its own left.
    """
    if synonyms not in get_args(Synonyms):
        raise ConditionError(f"There is no {synonyms!r} for synonyms: choose one of {', '.join(get_args(Synonyms))}.")
    if at_once is not None and at_once < 1:
        raise ConditionError(f"at_once is {at_once}: give at least 1 name per prompt.")
    if synonyms == "published":
        synonyms = "joined" if len(names) <= _MOST_JOINED else "first"
    class_of: dict[str, int] = {}
    for label in range(len(names)) if classes is None else classes:
        spoken = _spoken(names[label], synonyms)
        free = [name for name in spoken if name not in class_of]
        if not free:
            raise ConditionError(
                f"Every name of {names[label]!r} already stands for another class: use joined synonyms."
            )
        class_of |= dict.fromkeys(free, label)
    listed = list(class_of)
    size = at_once or len(listed)
    parts = [listed[start : start + size] for start in range(0, len(listed), size)]
    conditions = (CategoryCondition(tuple(part), tuple(bool(is_thing[class_of[n]]) for n in part)) for part in parts)
    return NameList(tuple(conditions), class_of)


def read_synonyms(path: Path | str, names: Sequence[str]) -> tuple[str, ...]:
    """The classes with the synonyms of a file, instead of those that the data set lists itself.

    Parameters
    ----------
    path : path
        JSON {"name": ["synonym", ...]}, or lines ``name: synonym, synonym``.
    names : sequence of str
        Of the data set; a class may be called by any of its own synonyms in the file.

    Raises
    ------
    AnnotationError
        When the file cannot be read, or names a class that the data set does not have.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = (
            json.loads(text)
            if text.lstrip().startswith("{")
            else dict(map(_line, filter(str.strip, text.splitlines())))
        )
    except (OSError, ValueError) as error:
        raise AnnotationError(
            f"The synonyms in {path} cannot be read ({error}): write 'name: synonym, ...'."
        ) from error
    place = {name: i for i, listed in enumerate(names) for name in (listed, *_spoken(listed, "each"))}
    changed = list(names)
    for name, listed in content.items():
        if name not in place:
            raise AnnotationError(f"{path} gives synonyms for {name!r}, which is no class of the data set: remove it.")
        changed[place[name]] = ", ".join(dict.fromkeys([name, *map(str, listed)]))
    return tuple(changed)


def _line(line: str) -> tuple[str, list[str]]:
    name, colon, rest = line.partition(":")
    if not colon:
        raise ValueError(f"the line {line.strip()!r} has no colon")
    return name.strip(), [part.strip() for part in rest.split(",") if part.strip()]


def _spoken(name: str, synonyms: Synonyms) -> list[str]:
    parts = [part.strip() for part in name.split(",") if part.strip()]
    if synonyms == "each":
        return list(dict.fromkeys(parts))
    return [parts[0] if synonyms == "first" else name]
