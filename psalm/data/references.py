"""Referring expressions of objects in COCO photographs, however their data set stores them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from psalm.conditions import SentenceCondition, Task
from psalm.data.coco_folder import decode_all
from psalm.data.layout import image_key, inside
from psalm.data.sample import Sample
from psalm.errors import AnnotationError
from psalm.images import read_image, to_rgb8

Sentences = Literal["joined", "each"]


@dataclass(frozen=True)
class Reference:
    """The expressions of one target in one image.

    Parameters
    ----------
    image_id : int
    ann_ids : tuple of int
        The objects that are meant; none when the image has no such thing.
    sentences : tuple of str
        Said by several people, all of the same target.
    """

    image_id: int
    ann_ids: tuple[int, ...]
    sentences: tuple[str, ...]

    @property
    def joined(self) -> str:
        """All sentences as one prompt: the published training and evaluation ask so."""
        return " ".join(f"{sentence.rstrip('.')}." for sentence in self.sentences)


class ReferenceReader:
    """References with their photographs and masks.

    A sample asks one reference: all its sentences joined, as the published training does, or one of them by chance.

    Parameters
    ----------
    source : str
    task : Task
        Referring, or generalised referring where targets may be many or none.
    references : sequence of Reference
    instances : mapping
        A COCO file's content, with the images and annotations that the references name.
    photographs : Path
    sentences : {"joined", "each"}

    Raises
    ------
    AnnotationError
        When there is no reference, or one names an image or object that `instances` does not have.
    """

    def __init__(
        self,
        source: str,
        task: Task,
        references: Sequence[Reference],
        instances: Mapping[str, Any],
        photographs: Path,
        sentences: Sentences,
    ) -> None:
        if not references:
            raise AnnotationError(f"{source} has no reference in this split: name another split.")
        if sentences not in ("joined", "each"):
            raise AnnotationError(f"sentences is {sentences!r}: choose joined or each.")
        self.source, self.task = source, task
        self.references = tuple(references)
        self._sentences = sentences
        self._photographs = photographs
        self._images = {image["id"]: image for image in instances["images"]}
        wanted = {ann_id for reference in references for ann_id in reference.ann_ids}
        self._annotations = {a["id"]: a for a in instances["annotations"] if a["id"] in wanted}
        self._check(wanted)

    def __len__(self) -> int:
        return len(self.references)

    @property
    def sources(self) -> list[str]:
        """The source of each reference."""
        return [self.source] * len(self)

    def path(self, index: int) -> Path:
        """The photograph of reference `index`."""
        return inside(self._photographs, self._images[self.references[index].image_id]["file_name"])

    def image(self, index: int) -> NDArray[np.uint8]:
        """The photograph of reference `index` as (H, W, 3) RGB."""
        return to_rgb8(read_image(self.path(index)))

    def masks(self, index: int) -> NDArray[np.bool_]:
        """The targets (N, H, W) of reference `index`; N is 0 where there is none."""
        reference = self.references[index]
        record = self._images[reference.image_id]
        found = [self._annotations[ann_id] for ann_id in reference.ann_ids]
        return decode_all(found, (record["height"], record["width"]))

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Sample:
        """Reference `index` as a question; see `psalm.data.mixture.Samples`. Every variant is the image itself."""
        if task not in (None, self.task):
            raise AnnotationError(f"{self.source} only serves the task {self.task.value}, not {task}: set its tasks.")
        reference, masks = self.references[index], self.masks(index)
        one = reference.sentences[int(rng.integers(len(reference.sentences)))]
        text = reference.joined if self._sentences == "joined" else one
        labels = np.zeros(len(masks), dtype=np.int64)
        key = image_key(self.path(index))
        condition = SentenceCondition(text)
        return Sample(self.image(index), self.task, condition, masks, labels, True, self.source, key)

    def _check(self, wanted: Iterable[int]) -> None:
        unknown = sorted(set(wanted) - set(self._annotations))
        lost = sorted({reference.image_id for reference in self.references} - set(self._images))
        if unknown or lost:
            raise AnnotationError(
                f"{self.source} refers to objects {unknown[:5]} and images {lost[:5]} that its instances.json does not "
                "have: get both files from the same place."
            )


def splits_of(references: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many references each split has."""
    return dict(sorted(Counter(str(reference["split"]) for reference in references).items()))


def check_record(record: Any, needed: Sequence[str], path: Path) -> None:
    """Raise `AnnotationError` when an entry of a file of references lacks a field."""
    missing = [key for key in needed if not isinstance(record, dict) or key not in record]
    if missing:
        raise AnnotationError(f"{path}: an entry has no {', '.join(missing)}: get the published file.")
