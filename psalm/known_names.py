"""The names that a model was trained on, and what to say of others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from psalm.errors import CheckpointError
from psalm.model_folders import find_model

_PEOPLE = {"men": "man", "women": "woman", "people": "person", "children": "child", "mice": "mouse", "teeth": "tooth"}
# Ends of plurals and the singular's, most telling first; a wrong guess does no harm unless it is a known name.
_ENDS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""), ("i", "us"), ("ae", "a"), ("a", "um"))
_MOST = 3  # names that a message spells out


@dataclass(frozen=True)
class KnownNames:
    """What a model was trained to find by name.

    Parameters
    ----------
    names : tuple of str
        Empty where its makers do not say; then every name counts as known.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> KnownNames:
        """The names that a model's info.json tells."""
        names = info.get("names") or info.get("categories") or ()
        return cls(tuple(str(name) for name in names) if isinstance(names, (list, tuple)) else ())

    @classmethod
    def of_model(cls, name_or_path: str | Path) -> KnownNames:
        """The names of a model that lies on this computer; the model is not loaded, and nothing is raised."""
        try:
            info = json.loads((find_model(name_or_path) / "info.json").read_text(encoding="utf-8"))
        except (CheckpointError, OSError, ValueError):
            return cls()
        return cls.from_info(info) if isinstance(info, dict) else cls()

    def knows(self, name: str) -> bool:
        """Whether a name is among them, whatever its case, hyphens and number."""
        return not self.names or any(form in self._forms for form in _forms(name))

    def unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of some names that it does not know."""
        return tuple(name for name in names if not self.knows(name))

    def close_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Known names that are spelt, or end, much like some of these."""
        found: dict[str, None] = {}
        for name in map(_plain, names):
            alike = get_close_matches(name, self._plain, 2, 0.6)
            alike += [known for known in self._plain if known.split()[-1] == name.split()[-1]] if name else []
            found |= dict.fromkeys(self._plain[known] for known in alike)
        return tuple(found)

    def warning(self, names: Iterable[str]) -> str:
        """What to say of a class list; empty when all of it is known."""
        strange = self.unknown(names)
        if not strange:
            return ""
        listed = ", ".join(strange[:_MOST]) + (f" and {len(strange) - _MOST} more" if len(strange) > _MOST else "")
        close = ", ".join(self.close_to(strange[:_MOST])[: 2 * _MOST])
        return (
            f"The model was not trained on {listed}: it may find nothing, or the wrong thing."
            f"{f' It knows {close}.' if close else ''}"
        )

    @cached_property
    def _plain(self) -> dict[str, str]:
        return {_plain(name): name for name in self.names}

    @cached_property
    def _forms(self) -> frozenset[str]:
        return frozenset(form for name in self.names for form in _forms(name))


def _plain(name: str) -> str:
    """A name in lower case, with single blanks between its words."""
    return " ".join(re.split(r"[\s_-]+", name.lower().strip()))


def _forms(name: str) -> Iterator[str]:
    """A name, and what its singular may be."""
    plain = _plain(name)
    yield plain
    start, blank, last = plain.rpartition(" ")
    if last in _PEOPLE:
        yield f"{start}{blank}{_PEOPLE[last]}"
    for plural, singular in _ENDS:
        if last.endswith(plural) and len(last) > len(plural) + 2 and not last.endswith("ss"):
            yield f"{start}{blank}{last.removesuffix(plural)}{singular}"
