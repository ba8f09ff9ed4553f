"""What goes out of a dataset and what comes in, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psalm.coco.faults import Fault
from psalm.store import ImageState, Provenance, StoredImage, StoredObject


@dataclass(frozen=True)
class Labelled:
    """An image of a dataset with its objects."""

    image: StoredImage
    objects: tuple[StoredObject, ...]

    @property
    def name(self) -> str:
        """The image in messages."""
        return self.image.path if not self.image.page else f"{self.image.path} (page {self.image.page})"


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Parameters
    ----------
    path : Path
    images, objects : int
    left_out : int
        Images of the dataset that were not asked for.
    notes : tuple of str
        What the format could not hold, in sentences.
    """

    path: Path
    images: int
    objects: int
    left_out: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class IncomingCategory:
    """A category of a file; what the file does not say is None or empty."""

    name: str
    id: int | None = None
    is_thing: bool = True
    supercategory: str = ""
    synonyms: tuple[str, ...] = ()
    colour: tuple[int, int, int] | None = None
    shortcut: str = ""


@dataclass(frozen=True)
class IncomingObject:
    """An object of a file, its category by name.

    Parameters
    ----------
    key : str
        What the file calls it.
    category : str
    rle : dict
        Compressed COCO RLE at the size of the image.
    score : float or None
    provenance : Provenance or None
        As psalm wrote it; None when the file comes from elsewhere.
    crowd : bool
        A region of many objects.
    """

    key: str
    category: str
    rle: Mapping[str, Any] = field(repr=False)
    score: float | None = None
    provenance: Provenance | None = None
    crowd: bool = False


@dataclass(frozen=True)
class IncomingImage:
    """An image of a file with its objects; state, error and hash are known where psalm wrote the file."""

    path: str
    page: int
    height: int
    width: int
    objects: tuple[IncomingObject, ...]
    where: str
    state: ImageState | None = None
    error: str = ""
    content_hash: str = ""


@dataclass(frozen=True)
class Incoming:
    """What a file brings: usable images and categories, and the faults of what is not usable."""

    source: Path
    categories: tuple[IncomingCategory, ...]
    images: tuple[IncomingImage, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Parameters
    ----------
    images : int
        Images of the file.
    added, known, similar : int
        Objects that were added; that the dataset had already; that were left out for looking like one it had.
    faults : tuple of Fault
        Entries that were left out, where that was asked for.
    notes : tuple of str
        Where dataset and file differ, in sentences.
    """

    images: int
    added: int
    known: int
    similar: int
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
