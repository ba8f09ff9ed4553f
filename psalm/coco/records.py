"""What a COCO file holds, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations, Category
from psalm.coco.names import relative_name
from psalm.coco.rle import decode_segmentation
from psalm.errors import AnnotationError


@dataclass(frozen=True)
class ImageEntry:
    """An image of a COCO file.

    Parameters
    ----------
    id : int
        Unique in the file.
    file_name : str
        Path relative to the images' folder, with forward slashes.
    height, width : int
        Pixels of the image as it is shown (EXIF orientation applied).
    split, source, domain : str
        Part of the data set ("train", "val"), origin, and kind of picture, where known.
    exhaustive : bool
        False when not every instance of the named categories is labelled.

    Raises
    ------
    AnnotationError
        When the size is not positive or the path is absolute or leaves the folder.
    """

    id: int
    file_name: str
    height: int
    width: int
    split: str = ""
    source: str = ""
    domain: str = ""
    exhaustive: bool = True

    def __post_init__(self) -> None:
        path = relative_name(str(self.file_name))
        if path is None:
            raise AnnotationError(
                f"Image {self.id} has the file name {self.file_name!r}: give a path inside the images' folder, "
                "relative to it."
            )
        if self.height < 1 or self.width < 1:
            raise AnnotationError(f"Image {self.id} has size {self.height} x {self.width}: both must be positive.")
        object.__setattr__(self, "file_name", path)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    def path(self, folder: Path | str) -> Path:
        """Where the image lies below `folder`."""
        return Path(folder) / self.file_name


@dataclass(frozen=True)
class CocoAnnotation:
    """An object of a COCO file; its mask is decoded when asked for.

    Parameters
    ----------
    id, image_id, category_id : int
    segmentation : dict or list
        RLE or polygons, as in the file.
    size : (height, width)
        Size of the image.
    iscrowd : bool
        A region of many objects that evaluation ignores.
    score : float, optional
        Confidence, where the file has one.
    prompt : str
        What the object answers, where the file says so.
    """

    id: int
    image_id: int
    category_id: int
    segmentation: Any = field(repr=False)
    size: tuple[int, int]
    iscrowd: bool = False
    score: float | None = None
    prompt: str = ""

    def mask(self) -> NDArray[np.bool_]:
        """Decode the (H, W) mask.

        Raises
        ------
        AnnotationError
            When the segmentation is damaged.
        """
        try:
            return decode_segmentation(self.segmentation, self.size)
        except (AnnotationError, ValueError, TypeError) as error:
            raise AnnotationError(f"Annotation {self.id} of image {self.image_id}: {error}") from error


@dataclass(frozen=True)
class CocoDataset:
    """A COCO instances file.

    Parameters
    ----------
    images : tuple of ImageEntry
    categories : tuple of Category
    annotations : tuple of CocoAnnotation
    """

    images: tuple[ImageEntry, ...]
    categories: tuple[Category, ...]
    annotations: tuple[CocoAnnotation, ...]

    @cached_property
    def by_image(self) -> Mapping[int, tuple[CocoAnnotation, ...]]:
        """The annotations of each image id; images without objects have an empty tuple."""
        lists: dict[int, list[CocoAnnotation]] = {image.id: [] for image in self.images}
        for annotation in self.annotations:
            lists[annotation.image_id].append(annotation)
        return {image_id: tuple(found) for image_id, found in lists.items()}

    @cached_property
    def category_of(self) -> Mapping[int, Category]:
        """Categories by id."""
        return {category.id: category for category in self.categories}

    def in_split(self, split: str | None) -> tuple[ImageEntry, ...]:
        """Images of a split; all when `split` is None.

        Raises
        ------
        AnnotationError
            When the split has no image.
        """
        chosen = tuple(image for image in self.images if split is None or image.split == split)
        if split is not None and not chosen:
            known = sorted({image.split for image in self.images if image.split})
            raise AnnotationError(f"No image has the split {split!r}: the file knows {known or 'no splits'}.")
        return chosen

    def annotations_of(self, image: ImageEntry, crowd: bool = False) -> Annotations:
        """The objects of an image with decoded masks; objects without a score get 1.

        Parameters
        ----------
        image : ImageEntry
        crowd : bool
            Also those with iscrowd.
        """
        found = [annotation for annotation in self.by_image[image.id] if crowd or not annotation.iscrowd]
        masks = [annotation.mask() for annotation in found]
        return Annotations(
            np.stack(masks) if masks else np.zeros((0, *image.size), dtype=bool),
            np.array([annotation.category_id for annotation in found], dtype=np.int64),
            np.array([1.0 if a.score is None else a.score for a in found], dtype=np.float32),
            self.categories,
            tuple(annotation.prompt for annotation in found),
        )
