"""Names for files that belong to an image: its path without the suffix."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from psalm.errors import AnnotationError
from psalm.formats.records import Labelled
from psalm.formats.selection import Selection


class Stems:
    """A name per image, the same in every export of the same images.

    Images that differ in their suffix alone, or in capitals, keep the suffix in the name.

    Parameters
    ----------
    chosen : Selection
    """

    def __init__(self, chosen: Selection) -> None:
        self._times = Counter(_stem(labelled).lower() for labelled in chosen)

    def of(self, labelled: Labelled) -> str:
        """The name, a path with forward slashes."""
        stem = _stem(labelled)
        return stem if self._times[stem.lower()] == 1 else _with_page(labelled, labelled.image.path)

    def refuse_twins(self, labelled: Labelled) -> str:
        """The name without suffix, for formats that find the image by it.

        Raises
        ------
        AnnotationError
            When another image has it too.
        """
        stem = _stem(labelled)
        if self._times[stem.lower()] > 1:
            raise AnnotationError(
                f"Several images are called {stem!r} but for their suffix, and this format tells images by that name: "
                "rename one."
            )
        return stem


def _stem(labelled: Labelled) -> str:
    return _with_page(labelled, str(PurePosixPath(labelled.image.path).with_suffix("")))


def _with_page(labelled: Labelled, name: str) -> str:
    return f"{name}.page{labelled.image.page}" if labelled.image.page else name
