"""Which images of a dataset leave it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from psalm.errors import AnnotationError
from psalm.formats.records import Labelled
from psalm.store import AnnotationStore, ImageState

_UNLABELLED = (ImageState.TODO, ImageState.SKIPPED, ImageState.FAILED)


class Selection:
    """The images of a store that are exported, read one by one.

    Images of an unknown size have no place in any format and are left out.

    Parameters
    ----------
    store : AnnotationStore
    states : collection of ImageState, optional
        Only images in these states. When not given: predicted, in review and verified ones, and others with objects;
        an image that nobody has looked at would otherwise pass for one that shows nothing.
    """

    def __init__(self, store: AnnotationStore, states: Collection[ImageState] | None = None) -> None:
        self.store = store
        self.states = None if states is None else frozenset(states)
        self.categories = tuple(store.categories())

    def __iter__(self) -> Iterator[Labelled]:
        for image in self.store.images():
            if not image.height or (self.states is not None and image.state not in self.states):
                continue
            objects = tuple(self.store.objects(image.id))
            if objects or self.states is not None or image.state not in _UNLABELLED:
                yield Labelled(image, objects)

    def left_out(self, images: int) -> int:
        """How many images of the dataset are not among the `images` exported."""
        return sum(self.store.counts().values()) - images


def read_states(text: str | None) -> frozenset[ImageState] | None:
    """States from a comma-separated list; ``all`` is every state, None the default choice.

    Raises
    ------
    AnnotationError
        When a state does not exist.
    """
    if text is None:
        return None
    if text.strip() == "all":
        return frozenset(ImageState)
    try:
        return frozenset(ImageState(name.strip()) for name in text.split(","))
    except ValueError:
        known = ", ".join(state.value for state in ImageState)
        raise AnnotationError(f"{text!r} names a state that does not exist: give all, or some of {known}.") from None
