"""Questions with a class list, as the paper asks them: all classes of the data set, in a new order each time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from psalm.conditions import CategoryCondition, Task
from psalm.data.layout import image_key
from psalm.data.objects import Objects
from psalm.data.sample import Sample
from psalm.errors import AnnotationError
from psalm.images import read_image, to_rgb8

MAX_OBJECTS = 100


class ClassListReader(ABC):
    """Images whose objects belong to the classes of a data set.

    A sample is a class list in a random order with the objects that answer it. The published training shows images as
    they are, so every variant of an image is the image itself.

    Parameters
    ----------
    source : str
        Name of the data set.
    names : sequence of str
        The classes. One name may list synonyms with commas between them.
    is_thing : sequence of bool
        Countable objects or stuff, per class.
    tasks : sequence of Task
        What may be asked; the first is asked when a sample names no task.
    names_per_question : int, optional
        At most so many names in a list: those in the image first, then others by chance. All when not given.
    """

    def __init__(
        self,
        source: str,
        names: Sequence[str],
        is_thing: Sequence[bool],
        tasks: Sequence[Task],
        names_per_question: int | None = None,
    ) -> None:
        if not names:
            raise AnnotationError(f"{source} names no class: check its list of classes.")
        self.source = source
        self.names = tuple(names)
        self.is_thing = np.array(is_thing, dtype=bool)
        self.tasks = tuple(tasks)
        self._names_per_question = names_per_question or len(self.names)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def path(self, index: int) -> Path:
        """The file of image `index`."""

    @abstractmethod
    def objects(self, index: int) -> Objects:
        """The labelled objects of image `index`; pixels of none are unlabelled."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """Image `index` as (H, W, 3) RGB."""
        return to_rgb8(read_image(self.path(index)))

    def unasked(self, index: int) -> frozenset[int]:
        """Classes that nobody looked for in image `index`; asking for them would prove nothing."""
        return frozenset()

    def incomplete(self, index: int) -> frozenset[int]:
        """Classes of which image `index` may hold more objects than are labelled."""
        return frozenset()

    @property
    def sources(self) -> list[str]:
        """The source of each image."""
        return [self.source] * len(self)

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Sample:
        """A question about image `index`; see `psalm.data.mixture.Samples`."""
        task = self._task(task)
        found = self.objects(index)
        if task is Task.SEMANTIC:  # a crowd is of its class
            found = Objects.of(found.masks, found.labels.tolist())
        crowds = found.labels[found.is_crowd]
        if task is Task.INSTANCE:
            found = found.select(self.is_thing[found.labels])
        found = found.merged(self.is_thing & (task is not Task.SEMANTIC))
        capped = len(found) > MAX_OBJECTS
        if capped:
            found = found.select(np.isin(np.arange(len(found)), rng.choice(len(found), MAX_OBJECTS, replace=False)))
        classes = self._classes(found, self.unasked(index), rng, task)
        place = {label: i for i, label in enumerate(classes)}
        open_ended = self.incomplete(index) | set(crowds.tolist())
        return Sample(
            self.image(index),
            task,
            CategoryCondition(
                tuple(self.names[label] for label in classes), tuple(bool(self.is_thing[label]) for label in classes)
            ),
            found.masks,
            np.array([place[label] for label in found.labels.tolist()], dtype=np.int64),
            exhaustive=not capped and open_ended.isdisjoint(classes),
            source=self.source,
            key=image_key(self.path(index)),
        )

    def _task(self, task: Task | None) -> Task:
        if task is None:
            return self.tasks[0]
        if task not in self.tasks:
            served = ", ".join(each.value for each in self.tasks)
            raise AnnotationError(f"{self.source} cannot answer the task {task.value}, only {served}: set its tasks.")
        return task

    def _classes(self, found: Objects, unasked: frozenset[int], rng: np.random.Generator, task: Task) -> list[int]:
        present = sorted(set(found.labels.tolist()))
        others = [
            label
            for label in range(len(self.names))
            if label not in present and label not in unasked and (self.is_thing[label] or task is not Task.INSTANCE)
        ]
        room = max(self._names_per_question - len(present), 0 if present else 1)
        if len(others) > room:
            others = rng.choice(others, room, replace=False).tolist()
        return [int(label) for label in rng.permutation([*present, *others])]
