"""Images that come next are encoded while nothing is asked, so that a person who goes on does not wait for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from numpy.typing import NDArray

from napari_psalm.core.runner import Job, Post, Runner
from napari_psalm.core.views import seen_whole
from psalm.errors import PSALMError

Read = Callable[[], NDArray[Any]]
"""Reads the pixels of an image, in any thread."""


class LookAhead:
    """Hands images to the model beforehand, in a thread of its own, as long as nothing better is to do.

    Parameters
    ----------
    post : callable
        See `napari_psalm.core.runner.Post`.
    """

    def __init__(self, post: Post) -> None:
        self._runner = Runner(post)
        self._left: list[Read] = []

    @property
    def busy(self) -> bool:
        """Whether an image is being encoded."""
        return self._runner.busy

    def choose(self, images: Sequence[Read]) -> None:
        """Which images are likely to come, the likeliest first; those of before are forgotten."""
        self.pause()
        self._left = list(images)

    def go_on(self, prefetch: Callable[[NDArray[Any]], Any]) -> None:
        """Encode what is left, one image after the other; returns at once.

        Parameters
        ----------
        prefetch : callable
            `PSALMPredictor.prefetch`, or what does the same.
        """
        if not self._left or self.busy:
            return
        self._runner.submit(
            work=partial(_encode, self._left, prefetch),
            done=lambda _nothing: None,
            failed=lambda _error: self._left.clear(),
            told=lambda _step: None,
        )

    def pause(self) -> None:
        """Stop after the image that is being encoded; `go_on` takes up the rest."""
        self._runner.cancel()

    def close(self) -> None:
        """Stop for good; does not wait."""
        self._left = []
        self._runner.close()


def _encode(left: list[Read], prefetch: Callable[[NDArray[Any]], Any], job: Job) -> None:
    while left and not job.cancelled.is_set():
        with suppress(PSALMError):  # said when the image is shown
            pixels = seen_whole(left[0]())
            if job.cancelled.is_set():
                return
            prefetch(pixels)
        left.pop(0)
