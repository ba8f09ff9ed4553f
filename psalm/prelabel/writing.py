"""What a worker found goes into the store, where no person's work is touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psalm.prelabel.dataset import provenance
from psalm.prelabel.matching import match
from psalm.prelabel.records import ModelFacts, Outcome
from psalm.store import AnnotationStore, ImageState, NewObject, StoredImage

# A transaction waits for the disk; several images share one when they come fast.
_FLUSH_SECONDS = 1.0


@dataclass(frozen=True)
class Written:
    """What became of an outcome.

    Parameters
    ----------
    outcome : Outcome
    state : {"labelled", "failed", "left"}
        Left, when a person took the image up meanwhile.
    objects : int
        Added.
    error : str
        Why it failed.
    """

    outcome: Outcome
    state: str
    objects: int = 0
    error: str = ""


class OutcomeWriter:
    """Writes outcomes to the store, those of about a second at once.

    Parameters
    ----------
    store : AnnotationStore
    facts : ModelFacts
    replaces : bool
        Take away what a model made of an image and nobody touched.
    note : callable
        Told what was written, as part of the same transaction.
    """

    def __init__(
        self, store: AnnotationStore, facts: ModelFacts, replaces: bool, note: Callable[[list[Written]], None]
    ) -> None:
        self._store, self._facts, self._replaces, self._note = store, facts, replaces, note
        self._waiting: list[Outcome] = []
        self._flushed = 0.0

    def add(self, outcome: Outcome) -> None:
        """Take an outcome, and write it when it is time."""
        self._waiting.append(outcome)
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, whole or not at all.

        Raises
        ------
        OutputError
            When the disk is full or may not be written.
        """
        # Whatever stops this, nothing of it is written a second time: what is not in the store is asked again.
        waiting, self._waiting = self._waiting, []
        if waiting:
            with self._store.transaction():
                self._note([self._write(outcome) for outcome in waiting])
        self._flushed = time.monotonic()

    def _write(self, outcome: Outcome) -> Written:
        store = self._store
        image = store.image(outcome.item.image_id)
        if not image.state.open_to_batch:
            return Written(outcome, "left")
        error = outcome.error or self._fit(image, outcome)
        if error:
            store.set_state(image.id, ImageState.FAILED, error)
            return Written(outcome, "failed", error=error)
        found = self._new_objects(image, outcome)
        if self._replaces:
            store.replace_unreviewed(image.id, found)
        else:
            store.replace_unreviewed(image.id, found, matching=lambda _: False)
        return Written(outcome, "labelled", len(found))

    def _fit(self, image: StoredImage, outcome: Outcome) -> str:
        """Note size and content of the file; the reason why that cannot be, if any."""
        size = (outcome.height, outcome.width)
        if image.height and image.size != size:
            objects = self._store.objects(image.id)
            if not all(found.provenance.unreviewed for found in objects):
                return (
                    f"{outcome.item.name} has changed: it has {size[0]} x {size[1]} pixels, its objects were made on "
                    f"{image.height} x {image.width}. Put the old file back, or remove the objects."
                )
            self._store.remove_objects(found.id for found in objects)
        if (image.size, image.content_hash) != (size, outcome.content_hash):
            self._store.update_image(image.id, height=size[0], width=size[1], content_hash=outcome.content_hash)
        return ""

    def _new_objects(self, image: StoredImage, outcome: Outcome) -> Sequence[NewObject]:
        """What was found, without what is there already and stays."""
        store = self._store
        ids = {
            name: store.ensure_category(name, is_thing).id
            for name, is_thing in {found.category: found.is_thing for found in outcome.objects}.items()
        }
        kept = [
            (known.category_id, known.rle)
            for known in store.objects(image.id)
            if not (self._replaces and known.provenance.unreviewed)
        ]
        found = [(ids[each.category], each.rle) for each in outcome.objects]
        known = {pair.first for pair in match(found, kept)} if kept else set()
        return [
            NewObject(
                ids[each.category], rle=each.rle, score=each.score,
                provenance=provenance(self._facts, outcome.item.prompts[each.prompt]),
            )
            for position, each in enumerate(outcome.objects)
            if position not in known
        ]  # fmt: skip
