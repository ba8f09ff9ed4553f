"""What the store holds, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from psalm.coco.rle import decode_segmentation
from psalm.errors import AnnotationError

Origin = Literal["model", "hand", "both"]


class ImageState(str, Enum):
    """How far an image is."""

    TODO = "todo"
    PREDICTED = "predicted"
    IN_REVIEW = "in_review"
    VERIFIED = "verified"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def open_to_batch(self) -> bool:
        """Whether a batch may change the image: no person has taken it up yet."""
        return self in (ImageState.TODO, ImageState.PREDICTED, ImageState.FAILED)


@dataclass(frozen=True)
class StoredImage:
    """An image, or one page of an image file.

    Parameters
    ----------
    id : int
        Stable, from 1, never used again.
    path : str
        Relative to the store's `image_root`, with forward slashes.
    page : int
        Page of a multi-page file, from 0.
    height, width : int
        Pixels of the image as it is shown (EXIF orientation applied); both 0 while they are not known.
    content_hash : str
        SHA-256 of the file's bytes, in hexadecimal; empty while it is not known.
    state : ImageState
    error : str
        Why the image failed; empty otherwise.
    """

    id: int
    path: str
    page: int
    height: int
    width: int
    content_hash: str
    state: ImageState
    error: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width


@dataclass(frozen=True)
class StoredCategory:
    """A category of the dataset.

    Parameters
    ----------
    id : int
        Stable, from 1, never used again, also when the category is merged or removed.
    name : str
        Unique among all names and synonyms of the dataset.
    is_thing : bool
        False for stuff, which cannot be counted.
    supercategory : str
    synonyms : tuple of str
        Other names of the same category; a merged category's name becomes one.
    colour : (red, green, blue)
        0 to 255.
    shortcut : str
        Key that chooses the category in the annotator.
    """

    id: int
    name: str
    is_thing: bool = True
    supercategory: str = ""
    synonyms: tuple[str, ...] = ()
    colour: tuple[int, int, int] = (255, 255, 255)
    shortcut: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where an object comes from.

    Parameters
    ----------
    origin : {"model", "hand", "both"}
        Made by a model, by a person, or by a model and then changed by a person.
    model : str
        Name of the model.
    weights : str
        Hash of its weights.
    prompt : mapping
        What the model was asked, as JSON: ``{"kind": "categories", "names": [...]}``,
        ``{"kind": "sentence", "text": ...}``, ``{"kind": "regions", "kinds": [...], "masks": [rle, ...]}`` or
        ``{"kind": "exemplar", ...}``.
    thresholds : mapping
        With which the answer was picked, as JSON.
    edited_pixels : int
        How many pixels a person has changed, all edits added up.
    edited_at : str
        UTC time of the last change by a person, ISO 8601; empty when there was none.
    """

    origin: Origin = "hand"
    model: str = ""
    weights: str = ""
    prompt: Mapping[str, Any] = field(default_factory=dict, hash=False)
    thresholds: Mapping[str, Any] = field(default_factory=dict, hash=False)
    edited_pixels: int = 0
    edited_at: str = ""

    def __post_init__(self) -> None:
        if self.origin not in ("model", "hand", "both"):
            raise AnnotationError(f"The origin {self.origin!r} is not known: give 'model', 'hand' or 'both'.")

    @property
    def unreviewed(self) -> bool:
        """Whether a batch may replace the object: no person drew, marked or changed it.

        A mask that answers a person's click, box or scribble counts as theirs.
        """
        touched = self.edited_pixels > 0 or bool(self.edited_at)
        return self.origin == "model" and not touched and self.prompt.get("kind") != "regions"


@dataclass(frozen=True, eq=False)
class NewObject:
    """An object to be added; give `mask` or `rle`.

    Parameters
    ----------
    category_id : int
    mask : (H, W) array of bool, optional
        At the size of the image.
    rle : dict, optional
        COCO segmentation with ``size`` and ``counts``.
    score : float, optional
        Confidence, 0 to 1; None when nothing measured it.
    provenance : Provenance
        A person's, when not given.
    """

    category_id: int
    mask: NDArray[np.bool_] | None = None
    rle: Mapping[str, Any] | None = None
    score: float | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if (self.mask is None) == (self.rle is None):
            raise AnnotationError("An object needs either a mask or an RLE: give one of them.")


@dataclass(frozen=True)
class StoredObject:
    """An object of an image; its mask is decoded when asked for.

    Parameters
    ----------
    id : int
        Stable, from 1, never used again.
    image_id, category_id : int
    rle : dict
        Compressed COCO RLE, ``size`` (height, width) and ``counts`` as text, ready for JSON.
    score : float or None
    bbox : (row0, column0, row1, column1)
        Smallest box around the mask, in pixels; the last row and column are not part of it.
    area : int
        Pixels of the mask.
    provenance : Provenance
    """

    id: int
    image_id: int
    category_id: int
    rle: Mapping[str, Any] = field(repr=False, hash=False)
    score: float | None
    bbox: tuple[int, int, int, int]
    area: int
    provenance: Provenance

    def mask(self) -> NDArray[np.bool_]:
        """Decode the (H, W) mask.

        Raises
        ------
        AnnotationError
            When the stored code is damaged.
        """
        height, width = self.rle["size"]
        try:
            return decode_segmentation(self.rle, (height, width))
        except AnnotationError as error:
            raise AnnotationError(f"Object {self.id} of image {self.image_id}: {error}") from error


@dataclass(frozen=True)
class Change:
    """One change in the history of a dataset.

    Parameters
    ----------
    id : int
        Counts up in the order of the changes.
    at : str
        UTC time, ISO 8601.
    actor : str
        Who wrote it, as given when the store was opened.
    action : str
        "add", "remove", "replace", "update", "state", "category", ...
    image_id : int or None
        None for a change of the categories.
    before, after : mapping
        What the change took away and what it brought, as JSON. An object that was taken away or changed is written in
        full; one that was added has its id alone, for its content is in the store or in the change that took it away.
    """

    id: int
    at: str
    actor: str
    action: str
    image_id: int | None
    before: Mapping[str, Any] = field(hash=False)
    after: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Replacement:
    """What `AnnotationStore.replace_unreviewed` did.

    Parameters
    ----------
    allowed : bool
        False when a person has taken up the image: nothing was changed.
    removed, added : tuple of int
        Ids of objects.
    """

    allowed: bool
    removed: tuple[int, ...] = ()
    added: tuple[int, ...] = ()


def now() -> str:
    """The time in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
