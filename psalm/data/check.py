"""What a folder of data sets holds, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from psalm.data.datasets import CONVERSATIONS, DATASETS, find_root, open_dataset
from psalm.errors import PSALMError

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Finding:
    """One split of one data set.

    Parameters
    ----------
    name, split : str
    root : Path
        Where it lies, or would be looked for first.
    count : int
        Images, references, conversations or frames that can be asked about.
    missing : tuple of str
        Files that are not there, each with where to get it; photographs are counted in `lost_images` instead.
    lost_images : int
        Images that the annotations name and the folder does not have.
    problem : str
        Why the files that are there cannot be read.
    """

    name: str
    split: str
    root: Path
    count: int = 0
    missing: tuple[str, ...] = ()
    lost_images: int = 0
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether every question can be asked."""
        return self.count > 0 and not (self.missing or self.lost_images or self.problem)


def check_data(folder: Path | str, names: tuple[str, ...] = (), progress: Progress | None = None) -> list[Finding]:
    """Look for every known data set in and below a folder.

    Parameters
    ----------
    folder : path
        A folder of data sets under their usual names, or the folder of one.
    names : tuple of str
        Data sets to report even when nothing of them is there; without names, all of which something is there.
    progress : callable, optional
        Called with (done, all, what is being read).

    Raises
    ------
    AnnotationError
        When a name is unknown.
    """
    known = DATASETS | CONVERSATIONS
    pairs = [(name, split) for name in (names or known) for split in _splits(name, folder)]
    findings: list[Finding] = []
    for done, (name, split) in enumerate(pairs):
        if progress:
            progress(done, len(pairs), f"{name} {split}")
        findings += _look(name, split, Path(folder), bool(names))
    if progress:
        progress(len(pairs), len(pairs), "")
    return findings


def _splits(name: str, folder: Path | str) -> tuple[str, ...]:
    find_root(name, folder, "train")  # names what is unknown
    return (DATASETS | CONVERSATIONS)[name].splits


def _look(name: str, split: str, folder: Path, asked: bool) -> Iterator[Finding]:
    layout = (DATASETS | CONVERSATIONS)[name].layout(split)
    root = find_root(name, folder, split)
    missing = layout.missing(root)
    # Photographs alone, or folders that several data sets share, do not make a data set.
    if not asked and layout.parts[0] in missing:
        return
    if missing:
        yield Finding(name, split, root, missing=tuple(layout.tell(part) for part in missing))
        return
    try:
        reader = open_dataset(name, folder, split)
        paths = {reader.path(index) for index in range(len(reader))} if hasattr(reader, "path") else set()
        lost = sum(not path.exists() for path in paths)
        yield Finding(name, split, root, len(reader), lost_images=lost)
    except (PSALMError, KeyError, TypeError, ValueError) as error:
        # A field that is not there or has another type is a damaged file, whichever reader trips over it.
        yield Finding(name, split, root, problem=f"{error}" if isinstance(error, PSALMError) else f"damaged: {error!r}")
