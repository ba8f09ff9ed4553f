"""The published folder layout of a data set: what belongs where, and where it comes from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psalm.errors import AnnotationError


@dataclass(frozen=True)
class Part:
    """A file or folder of a data set.

    Parameters
    ----------
    path : str
        Relative to the data set's folder, with forward slashes; ``*`` stands for any one name.
    what : str
        What it holds, in words.
    home : str
        Where it comes from, when not from the data set's own home.
    """

    path: str
    what: str
    home: str = ""

    def find(self, root: Path) -> list[Path]:
        """The files or folders of this part that are there."""
        if "*" in self.path:
            return sorted(root.glob(self.path))
        path = root / self.path
        return [path] if path.exists() else []


@dataclass(frozen=True)
class Layout:
    """What a reader needs of a data set's folder.

    Parameters
    ----------
    name : str
        Of the data set.
    home : str
        Who hands it out, by name.
    parts : tuple of Part
    """

    name: str
    home: str
    parts: tuple[Part, ...]

    def missing(self, root: Path | str) -> tuple[Part, ...]:
        """The parts that are not below `root`."""
        return tuple(part for part in self.parts if not part.find(Path(root)))

    def tell(self, part: Part) -> str:
        """Which file is meant and where to get it, as one line."""
        return f"{part.path} ({part.what}): get it from {part.home or self.home}"

    def require(self, root: Path | str) -> None:
        """Make sure that everything is there.

        Raises
        ------
        AnnotationError
            Naming every part that is missing and where to get it.
        """
        missing = self.missing(root)
        if missing:
            lines = "".join(f"\n  {self.tell(part)}" for part in missing)
            raise AnnotationError(f"{self.name} is not complete in {root}. Missing:{lines}")


def read_json(path: Path | str, kind: type) -> Any:
    """A JSON file whose outermost value is a dict or a list.

    Raises
    ------
    AnnotationError
        When the file cannot be read or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{path} cannot be read ({error}): get the file again.") from error
    if not isinstance(content, kind):
        raise AnnotationError(f"{path} holds a {type(content).__name__}, not a {kind.__name__}: give another file.")
    return content


def read_lines(path: Path | str) -> list[str]:
    """The lines of a text file that are not empty, without blanks around them.

    Raises
    ------
    AnnotationError
        When the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{path} cannot be read ({error}): get the file again.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def inside(folder: Path, name: str) -> Path:
    """A file that an annotation names, below `folder`.

    Raises
    ------
    AnnotationError
        When the name leads out of the folder.
    """
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not name:
        raise AnnotationError(f"The annotations name the file {name!r}: it must lie inside {folder}.")
    return folder / path


def image_key(path: Path) -> str:
    """A name for the pixels of an image file, as `psalm.data.sample.Sample` has it."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
