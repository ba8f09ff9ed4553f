"""The images of a dataset as a list to work through: filtered, sorted, with how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from psygnal import Signal

from napari_psalm.core.dataset import in_words, needs_work
from psalm.store import AnnotationStore, ImageState, StoredImage

Order = Literal["name", "uncertainty"]
FILTERS: dict[str, Callable[[ImageState], bool]] = {
    "all images": lambda state: True,
    "needs work": needs_work,
    "to do": lambda state: state is ImageState.TODO,
    "predicted": lambda state: state is ImageState.PREDICTED,
    "in review": lambda state: state is ImageState.IN_REVIEW,
    "verified": lambda state: state is ImageState.VERIFIED,
    "skipped": lambda state: state is ImageState.SKIPPED,
    "failed": lambda state: state is ImageState.FAILED,
}


@dataclass
class _Choice:
    filter: str = "all images"
    order: Order = "name"


class ReviewQueue:
    """Which images are in the list, in which order, and what comes after which.

    Images keep their place while they are worked on: the list is made anew only when filter or order change.
    """

    changed = Signal()
    """The list is another one."""
    updated = Signal(int)
    """The image in this row is another one."""

    def __init__(self) -> None:
        self._store: AnnotationStore | None = None
        self._choice = _Choice()
        self.images: list[StoredImage] = []
        self.uncertainty: dict[int, float] = {}
        self._rows: dict[int, int] = {}

    def show(self, store: AnnotationStore | None) -> None:
        """Show the images of another dataset."""
        self._store = store
        self._make()

    def choose(self, filter: str | None = None, order: Order | None = None) -> None:
        """Filter by one of `FILTERS`, and sort by name or by uncertainty, the least certain first."""
        self._choice = _Choice(filter or self._choice.filter, order or self._choice.order)
        self._make()

    def refresh(self) -> None:
        """Read the images anew."""
        self._make()

    @property
    def progress(self) -> tuple[int, int]:
        """How many images are verified or skipped, of how many."""
        counts = {} if self._store is None else self._store.counts()
        done = sum(number for state, number in counts.items() if not needs_work(state))
        return done, sum(counts.values())

    @property
    def words(self) -> str:
        """How far the dataset is, in words."""
        return "" if self._store is None else in_words(self._store.counts())

    def row_of(self, image: StoredImage | None) -> int | None:
        """Where an image is in the list."""
        return None if image is None else self._rows.get(image.id)

    def neighbour(self, image: StoredImage | None, by: int) -> StoredImage | None:
        """The image that comes so many rows after another one; None at the ends."""
        row = self.row_of(image)
        target = (0 if by > 0 else len(self.images) - 1) if row is None else row + by
        return self.images[target] if 0 <= target < len(self.images) else None

    def next_to_do(self, image: StoredImage | None) -> StoredImage | None:
        """The next image of the list that needs work, from the start again after the end."""
        row = self.row_of(image)
        start = 0 if row is None else row + 1
        for other in (*self.images[start:], *self.images[:start]):
            if needs_work(other.state) and (image is None or other.id != image.id):
                return other
        return None

    def update(self, image: StoredImage) -> None:
        """Take over what changed of an image."""
        row = self._rows.get(image.id)
        if row is not None and self.images[row] != image:
            self.images[row] = image
            self.updated.emit(row)

    def _make(self) -> None:
        store, choice = self._store, self._choice
        wanted = FILTERS[choice.filter]
        self.images = [] if store is None else [image for image in store.images() if wanted(image.state)]
        self.uncertainty = {}
        if store is not None and choice.order == "uncertainty":
            self.uncertainty = {image.id: uncertainty(store, image) for image in self.images}
            self.images.sort(key=lambda image: -self.uncertainty[image.id])
        self._rows = {image.id: row for row, image in enumerate(self.images)}
        self.changed.emit()


def uncertainty(store: AnnotationStore, image: StoredImage) -> float:
    """How much a look at an image may teach, 0 to 1.

    One less the mean score of the objects that no person has touched. 1 where a model found nothing, and 0 where there
    is nothing of a model: nobody has asked it yet, or a person has gone over everything.
    """
    scores = [
        found.score
        for found in store.objects(image.id)
        if found.score is not None and found.provenance.origin == "model" and not found.provenance.edited_at
    ]
    if scores:
        return 1 - sum(scores) / len(scores)
    return 1.0 if image.state is ImageState.PREDICTED else 0.0
