from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_psalm.core.image_planes import visible_plane
from napari_psalm.core.look_ahead import LookAhead
from napari_psalm.core.views import reduced, seen_whole
from psalm.errors import ImageError


class Desk:
    """A model that takes its time: `go` lets it finish the image that it encodes."""

    def __init__(self, post: Any) -> None:
        self.ahead = LookAhead(post)
        self.post, self.go, self.started = post, threading.Event(), threading.Event()
        self.encoded: list[int] = []
        self.go.set()

    def prefetch(self, pixels: Any) -> None:
        self.started.set()
        self.go.wait(10)
        self.encoded.append(int(pixels.max()))

    def rest(self) -> None:
        """Wait until the thread has nothing to do."""
        self.ahead._runner._executor.submit(lambda: None).result(10)


@pytest.fixture
def desk(post: Any) -> Any:
    desk = Desk(post)
    yield desk
    desk.go.set()
    desk.ahead.close()


def _images(*values: int) -> list[Any]:
    return [lambda value=value: np.full((4, 5), value) for value in values]


def test_images_are_encoded_in_order_and_once(desk: Desk) -> None:
    desk.ahead.choose(_images(1, 2))
    desk.ahead.go_on(desk.prefetch)
    desk.rest()
    assert desk.encoded == [1, 2]
    desk.ahead.go_on(desk.prefetch)
    desk.rest()
    assert desk.encoded == [1, 2]


def test_after_a_pause_the_rest_is_taken_up(desk: Desk) -> None:
    desk.go.clear()
    desk.ahead.choose(_images(1, 2))
    desk.ahead.go_on(desk.prefetch)
    assert desk.started.wait(10)
    desk.ahead.pause()
    assert not desk.ahead.busy
    desk.go.set()
    desk.rest()
    assert desk.encoded == [1]
    desk.ahead.go_on(desk.prefetch)
    desk.rest()
    assert desk.encoded == [1, 2]


def test_the_latest_choice_wins(desk: Desk) -> None:
    desk.go.clear()
    desk.ahead.choose(_images(1, 2, 3))
    desk.ahead.go_on(desk.prefetch)
    assert desk.started.wait(10)
    desk.ahead.choose(_images(7))
    desk.ahead.go_on(desk.prefetch)
    desk.go.set()
    desk.rest()
    assert desk.encoded == [1, 7]


def test_an_image_that_cannot_be_read_is_passed_over(desk: Desk) -> None:
    def broken() -> Any:
        raise ImageError("gone")

    desk.ahead.choose([broken, *_images(2)])
    desk.ahead.go_on(desk.prefetch)
    desk.rest()
    assert desk.encoded == [2]


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3), (5000, 40)])
def test_the_pixels_are_those_of_the_question(shape: tuple[int, ...]) -> None:
    """Or else they would be encoded twice."""
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    viewer = ViewerModel()
    layer = viewer.add_image(pixels, rgb=len(shape) == 3)
    np.testing.assert_array_equal(seen_whole(pixels), reduced(visible_plane(viewer, layer)).read())
