"""Draw questions from several collections so that small sources are seen and training resumes exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from psalm.conditions import Task
from psalm.errors import AnnotationError

Asked = TypeVar("Asked", covariant=True)


class Samples(Protocol[Asked]):
    """A collection of images that can be asked about."""

    @property
    def sources(self) -> Sequence[str]:
        """The source of each image."""
        ...

    def __len__(self) -> int: ...

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Asked:
        """A question about image `index`."""
        ...


class Mixture(Generic[Asked]):
    """Collections drawn by weight, and inside a collection by source.

    Parameters
    ----------
    members : sequence of (Samples, float)
        Collections and how often each is drawn.
    temper : float
        A source of n images is drawn in proportion to ``n ** temper``: 1 treats images alike, 0 treats sources alike.

    Raises
    ------
    AnnotationError
        When there is no collection or a weight is not positive.
    """

    def __init__(self, members: Sequence[tuple[Samples[Asked], float]], temper: float = 0.5) -> None:
        if not members or any(weight <= 0 for _, weight in members):
            raise AnnotationError("A mixture needs at least one collection, each with a weight above 0.")
        self._members = [samples for samples, _ in members]
        weights = np.array([weight for _, weight in members], dtype=np.float64)
        self._weights = weights / weights.sum()
        self._sources = [_Sources(samples.sources, temper) for samples in self._members]

    def draw(self, step: int, seed: int = 0) -> tuple[int, int]:
        """(member, index) of the image of `step`; the same for the same step and seed."""
        return self._draw(np.random.default_rng([seed, step]))

    def sample(self, step: int, seed: int = 0, task: Task | None = None, variant: int = 0, question: int = 0) -> Asked:
        """The question of `step`; the same for the same arguments.

        Another `question` is another one about the same image.
        """
        rng = np.random.default_rng([seed, step])
        member, index = self._draw(rng)
        if question:
            rng = np.random.default_rng([seed, step, question])
        return self._members[member].sample(index, rng, task, variant)

    def in_turn(self, number: int, seed: int = 0, task: Task | None = None) -> Asked:
        """Question `number` where every image has its turn: as many images as there are, then all again."""
        places = [(samples, index) for samples in self._members for index in range(len(samples))]
        samples, index = places[number % len(places)]
        return samples.sample(index, np.random.default_rng([seed, number]), task)

    def _draw(self, rng: np.random.Generator) -> tuple[int, int]:
        member = int(rng.choice(len(self._members), p=self._weights))
        return member, self._sources[member].draw(rng)


class _Sources:
    """Draws the position of an image by source."""

    def __init__(self, sources: Sequence[str], temper: float) -> None:
        _, of_image, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
        weights = counts.astype(np.float64) ** temper
        self._weights = weights / weights.sum()
        self._indices = [np.flatnonzero(of_image == source) for source in range(len(counts))]

    def draw(self, rng: np.random.Generator) -> int:
        indices = self._indices[rng.choice(len(self._weights), p=self._weights)]
        return int(indices[rng.integers(len(indices))])
