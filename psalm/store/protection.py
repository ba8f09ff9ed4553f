"""What a batch may change: never what a person made, touched or took up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from psalm.store.objects import ObjectTable
from psalm.store.records import ImageState, NewObject, Replacement, StoredObject


class ProtectedTable(ObjectTable):
    """The part of the store that a batch writes with."""

    def unreviewed(self, image_id: int) -> list[StoredObject]:
        """The objects of an image that a batch may replace: none when a person has taken the image up."""
        with self.snapshot():
            if not self.image(image_id).state.open_to_batch:
                return []
            return [found for found in self.objects(image_id) if found.provenance.unreviewed]

    def replace_unreviewed(
        self,
        image_id: int,
        add: Iterable[NewObject],
        *,
        state: ImageState = ImageState.PREDICTED,
        matching: Callable[[StoredObject], bool] | None = None,
    ) -> Replacement:
        """What a batch does: take away what a model made and nobody touched, and add its own, as one change.

        Nothing happens on an image that a person has taken up (in review, verified, skipped), also when that was done
        while the model was at work. Objects that a person drew, marked or edited stay.

        Parameters
        ----------
        image_id : int
        add : iterable of NewObject
        state : ImageState
            The image's state afterwards.
        matching : callable, optional
            Of the objects that may be taken away, only those for which it is true are; ``lambda found: False`` adds
            only.

        Raises
        ------
        StoreError
            When there is no such image or category.
        AnnotationError
            When a mask does not fit the image or is empty, or a score is not a number.
        """
        state = ImageState(state)
        with self.transaction():
            image = self.image(image_id)
            if not image.state.open_to_batch:
                return Replacement(False)
            gone = [found for found in self.unreviewed(image_id) if matching is None or matching(found)]
            self._remove(gone)
            added = self._add(image, add)
            self._write("UPDATE images SET state = ?, error = '' WHERE id = ?", [state.value, image_id])
            # The masks of a model can be made again from the question, so the history keeps no copy of them.
            before = [self._as_json(found, with_mask=False) for found in gone]
            self._remember(
                "batch",
                image_id,
                {"state": image.state.value, "objects": before},
                {"state": state.value, "objects": added},
            )
            return Replacement(True, tuple(found.id for found in gone), tuple(added))
