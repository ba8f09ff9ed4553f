"""A dataset in numbers, read once from its store."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from psalm.prelabel.dataset import Run, read_runs
from psalm.prelabel.records import Failure
from psalm.store import AnnotationStore, ImageState, StoredCategory, StoredImage

BINS = 20
_MOST_FAILURES = 200


@dataclass
class ClassCount:
    """The objects of a category.

    Parameters
    ----------
    category : StoredCategory
    objects, images : int
        How many there are, and on how many images.
    scores : list of int
        How many objects have a score in each of `BINS` equal parts of 0 to 1.
    """

    category: StoredCategory
    objects: int = 0
    images: int = 0
    scores: list[int] = field(default_factory=lambda: [0] * BINS)

    @property
    def median_score(self) -> float | None:
        """The middle of the part that holds the median; None without scores."""
        total = sum(self.scores)
        if not total:
            return None
        return (int(np.searchsorted(np.cumsum(self.scores), total / 2)) + 0.5) / BINS


@dataclass(frozen=True)
class RatedImage:
    """An image with the mean score of its objects, as a measure of how certain the model is."""

    image: StoredImage
    certainty: float
    objects: int


@dataclass(frozen=True)
class Summary:
    """What a report shows.

    Parameters
    ----------
    states : dict
        How many images are in each state.
    objects, empty : int
        Objects, and labelled images without any.
    classes : tuple of ClassCount
        The most frequent first.
    most_certain, least_certain : tuple of RatedImage
        The extreme ones first; an image is in one of them at most.
    failures : tuple of Failure
        The first ones.
    runs : tuple of Run
    """

    states: dict[ImageState, int]
    objects: int
    empty: int
    classes: tuple[ClassCount, ...]
    most_certain: tuple[RatedImage, ...]
    least_certain: tuple[RatedImage, ...]
    failures: tuple[Failure, ...]
    runs: tuple[Run, ...]

    @property
    def images(self) -> int:
        """All images of the dataset."""
        return sum(self.states.values())


def summarise(store: AnnotationStore, pictures: int = 8) -> Summary:
    """Read a store once, in memory that does not grow with the number of images.

    Parameters
    ----------
    store : AnnotationStore
    pictures : int
        How many of the most and of the least certain images are named.
    """
    classes = {category.id: ClassCount(category) for category in store.categories()}
    most: list[tuple[float, int, RatedImage]] = []
    least: list[tuple[float, int, RatedImage]] = []
    objects = empty = 0
    for image in store.images():
        found = store.objects(image.id) if image.height else []
        objects += len(found)
        empty += not found and image.state not in (ImageState.TODO, ImageState.FAILED)
        for category_id in {each.category_id for each in found}:
            classes[category_id].images += 1
        scores = []
        for each in found:
            classes[each.category_id].objects += 1
            if each.score is not None:
                scores.append(each.score)
                classes[each.category_id].scores[min(int(each.score * BINS), BINS - 1)] += 1
        if scores:
            rated = RatedImage(image, float(np.mean(scores)), len(found))
            # Where images are equally certain, the first ones are named here and the last ones there.
            _keep(most, (rated.certainty, -image.id, rated), pictures)
            _keep(least, (-rated.certainty, image.id, rated), pictures)
    best, worst = _apart(_ranked(most), _ranked(least))
    return Summary(
        store.counts(),
        objects,
        empty,
        tuple(sorted(classes.values(), key=lambda each: (-each.objects, each.category.id))),
        best,
        worst,
        _first_failures(store),
        tuple(read_runs(store)),
    )


def _keep(heap: list[tuple[float, int, RatedImage]], entry: tuple[float, int, RatedImage], size: int) -> None:
    (heapq.heappush if len(heap) < size else heapq.heappushpop)(heap, entry)


def _ranked(heap: Sequence[tuple[float, int, RatedImage]]) -> list[RatedImage]:
    return [rated for _, _, rated in sorted(heap, key=lambda entry: entry[:2], reverse=True)]


def _apart(best: list[RatedImage], worst: list[RatedImage]) -> tuple[tuple[RatedImage, ...], tuple[RatedImage, ...]]:
    """Leave an image in the list in which it comes first; matters where there are few."""
    ids_best = [rated.image.id for rated in best]
    ids_worst = [rated.image.id for rated in worst]
    return (
        tuple(r for i, r in enumerate(best) if r.image.id not in ids_worst or i <= ids_worst.index(r.image.id)),
        tuple(r for i, r in enumerate(worst) if r.image.id not in ids_best or i < ids_best.index(r.image.id)),
    )


def _first_failures(store: AnnotationStore) -> tuple[Failure, ...]:
    found = []
    for image in store.images(ImageState.FAILED):
        found.append(Failure(f"{image.path} (page {image.page})" if image.page else image.path, image.error))
        if len(found) == _MOST_FAILURES:
            break
    return tuple(found)
