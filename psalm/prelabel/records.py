"""What travels between the folder, the workers and the store."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from psalm.predictor import Precision
    from psalm.tiling import TilePlan


@dataclass(frozen=True)
class Item:
    """An image to be labelled; small, for it may be sent to another machine.

    Parameters
    ----------
    image_id : int
        In the store.
    path : str
        Relative to the image root.
    page : int
    prompts : tuple of mapping
        What is asked of it, as the store records it.
    """

    image_id: int
    path: str
    page: int
    prompts: tuple[Mapping[str, Any], ...] = field(hash=False)

    @property
    def name(self) -> str:
        """The file's path, with the page where it is not the first."""
        return f"{self.path} (page {self.page})" if self.page else self.path


@dataclass(frozen=True)
class Found:
    """An object that the model found.

    Parameters
    ----------
    category : str
    is_thing : bool
    rle : dict
        Compressed COCO RLE.
    score : float
    prompt : int
        Which of the item's prompts it answers.
    """

    category: str
    is_thing: bool
    rle: Mapping[str, Any] = field(repr=False, hash=False)
    score: float
    prompt: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Parameters
    ----------
    item : Item
    height, width : int
        As the image is shown; 0 when it could not be read.
    content_hash : str
        Of the file; empty when it could not be read.
    objects : tuple of Found
    error : str
        Why it failed; empty when it did not.
    seconds : float
        What the model took.
    tiles : str
        Into which tiles the image was cut, in words; empty when it was asked as a whole.
    doubt : str
        Why these tiles may not fit the image; empty when they do.
    """

    item: Item
    height: int = 0
    width: int = 0
    content_hash: str = ""
    objects: tuple[Found, ...] = ()
    error: str = ""
    seconds: float = 0.0
    tiles: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class ModelChoice:
    """Which model a worker loads, and how it is asked.

    Parameters
    ----------
    name : str
        Name or folder of the model.
    device : str, optional
        The best there is when not given.
    score_threshold : float, optional
        Objects with a lower score are left out; the model's own threshold when not given.
    tiles : TilePlan, optional
        How images are cut that are too large or hold too many objects.
    precision : {"float32", "bfloat16", "int8"}
        Of the weights.
    """

    name: str
    device: str | None = None
    score_threshold: float | None = None
    tiles: TilePlan | None = None
    precision: Precision = "float32"


@dataclass(frozen=True)
class ModelFacts:
    """What is recorded of the model that answered.

    Parameters
    ----------
    name : str
    weights : str
        Hash of its weights.
    thresholds : mapping
        With which its answers are picked.
    """

    name: str
    weights: str
    thresholds: Mapping[str, Any] = field(hash=False)


class Engine(Protocol):
    """Whatever turns items into outcomes: this process, several, or a cluster. Used in a ``with`` block."""

    facts: ModelFacts
    description: str

    def __enter__(self) -> Self:
        """Start what works."""

    def __exit__(self, *error: object) -> None:
        """End what works."""

    def outcomes(self, items: Iterable[Item]) -> Generator[Outcome, None, None]:
        """One outcome per item, in any order; items are taken as they are needed."""


@dataclass(frozen=True)
class Failure:
    """An image that could not be labelled, or not with confidence, and why."""

    file_name: str
    reason: str

    @property
    def words(self) -> str:
        """Both in one line, for most reasons begin with the name."""
        return self.reason if self.reason.startswith(self.file_name) else f"{self.file_name}: {self.reason}"


@dataclass(frozen=True)
class PrelabelReport:
    """What a run did.

    Parameters
    ----------
    dataset : Path
        Folder of the store.
    annotations : Path
        The COCO file.
    page : Path
        The HTML report.
    images, objects : int
        Labelled by this run.
    kept : int
        Images that were left as they were.
    failures : tuple of Failure
    seconds : float
    tiled : int
        Images that were asked in tiles.
    doubts : tuple of Failure
        Images that the tiles may not fit, and why; they were labelled all the same.
    """

    dataset: Path
    annotations: Path
    page: Path
    images: int
    objects: int
    kept: int
    failures: tuple[Failure, ...]
    seconds: float
    tiled: int = 0
    doubts: tuple[Failure, ...] = ()
