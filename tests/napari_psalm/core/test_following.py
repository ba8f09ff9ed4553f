"""Objects followed through stacks and videos: shown slice by slice, written as one step, stopped where they drift."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.following import Following
from napari_psalm.core.object_facts import FoundObject
from psalm.video import TrackLimits
from psalm.video.tracker import Tracker
from tests.psalm.video.conftest import Clip, GreyFollower

LENGTH = 12


def _clip() -> Clip:
    return Clip([lambda t: (20, 12 + 4 * t), lambda t: (45, 70 - 4 * t)], LENGTH)


class Follow:
    """A stack whose objects are followed by their grey value."""

    def __init__(self, post: Any, stack: Any, **layer: Any) -> None:
        self.viewer, self.post = ViewerModel(), post
        self.image = self.viewer.add_image(stack, name="clip", **layer)
        self.truth = np.stack([_clip()[i][..., 0] for i in range(LENGTH)]).astype(np.uint32)
        shape = self.truth.shape
        labels = self.viewer.add_labels(np.zeros(shape, np.uint32), scale=self.image.scale)
        self.layer = AnnotationLayer(labels)
        self.trackers = 0
        self.wrong: dict[int, Any] = {}
        self.go = threading.Event()
        self.go.set()
        self.following = Following(self.viewer, post, self._tracker)
        self.said: list[tuple[str, str]] = []
        self.following.status.connect(lambda text, level: self.said.append((text, level)))

    def _tracker(self, _job: Any) -> Tracker:
        self.trackers += 1
        self.go.wait(10)
        return Tracker(None, TrackLimits(overlap=0.1), GreyFollower(self.wrong))  # type: ignore[arg-type]

    def mark(self, index: int, *ids: int, origin: Any = "model") -> None:
        """Give the true objects of a slice to the layer, and show the slice."""
        mask = np.isin(self.truth[index], ids)
        at = np.nonzero(mask)
        places = (np.full(len(at[0]), index), *at)
        facts = {i: FoundObject("disc", 0.9, "disc", "instance", origin) for i in ids}
        self.layer.write(places, self.truth[index][mask], facts)
        self.viewer.dims.set_point(0, index * self.image.scale[0])

    def follow(self, end: int, *ids: int, least: float | None = 0.5) -> None:
        self.following.follow(self.image, self.layer, ids, end, least)
        self.post.wait(lambda: not self.following.running)

    @property
    def data(self) -> Any:
        return self.layer.layer.data


@pytest.fixture
def stack() -> Any:
    return np.stack([_clip()[i] for i in range(LENGTH)])


@pytest.fixture
def follow(post: Any, stack: Any) -> Iterator[Follow]:
    made = Follow(post, stack, rgb=True)
    yield made
    made.go.set()
    made.following.close()


def test_torch_comes_with_the_model_and_not_before(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "psalm.video.propagation", raising=False)
    early = []
    make = follow.following._make_tracker

    def check(job: Any) -> Tracker:
        early.append("psalm.video.propagation" in sys.modules)
        return make(job)

    monkeypatch.setattr(follow.following, "_make_tracker", check)
    follow.mark(0, 1)
    follow.follow(2)
    assert early == [False]


def test_objects_are_followed_to_the_end_with_their_ids(follow: Follow) -> None:
    follow.mark(0, 1, 2)
    follow.follow(LENGTH - 1)
    assert (follow.data == follow.truth).all()
    assert follow.said[-1] == ("2 objects followed through 11 slices. One undo takes them back.", "good")
    assert list(follow.layer.table["index"]) == [1, 2]
    assert follow.viewer.dims.point[0] == LENGTH - 1
    assert [layer.name for layer in follow.viewer.layers if layer.name == "preview"] == []


def test_one_undo_takes_all_of_it_back_and_redo_brings_it_again(follow: Follow) -> None:
    follow.mark(3, 1)
    follow.follow(LENGTH - 1)
    follow.layer.layer.undo()
    assert [bool(plane.any()) for plane in follow.data] == [i == 3 for i in range(LENGTH)]
    assert list(follow.layer.table["origin"]) == ["model"]
    follow.layer.layer.redo()
    assert (follow.data[3:] == np.where(follow.truth == 1, 1, 0)[3:]).all()
    assert list(follow.layer.table["origin"]) == ["model"]
    assert list(follow.layer.table["area"]) == [int((follow.truth[3:] == 1).sum())]


def test_it_goes_backward_and_only_as_far_as_the_range(follow: Follow) -> None:
    follow.mark(8, 2)
    follow.follow(5, 2)
    found = [bool(plane.any()) for plane in follow.data]
    assert found == [5 <= i <= 8 for i in range(LENGTH)]
    assert not (follow.data == 1).any()


def test_the_slider_goes_along_unless_somebody_moves_it(follow: Follow) -> None:
    seen: list[float] = []
    follow.mark(0, 1)
    follow.viewer.dims.events.point.connect(lambda _event: seen.append(follow.viewer.dims.point[0]))
    follow.follow(4)
    assert seen == [1, 2, 3, 4]
    follow.viewer.dims.set_point(0, 0)
    follow.following.trusted.connect(lambda trusts: follow.viewer.dims.set_point(0, 9) if 2 in trusts.slices else None)
    follow.follow(4)
    assert follow.viewer.dims.point[0] == 9


def test_trust_is_told_slice_by_slice(follow: Follow) -> None:
    told: list[Any] = []
    follow.following.trusted.connect(told.append)
    follow.mark(2, 1)
    follow.follow(6)
    assert [len(trusts.slices) for trusts in told] == [1, 2, 3, 4, 5]
    assert told[-1].slices[2].known
    assert told[-1].slices[6].value == pytest.approx(0.9)
    assert (told[-1].axis, told[-1].length) == (0, LENGTH)


def test_the_brake_holds_at_the_first_doubtful_slice_and_correcting_goes_on(follow: Follow) -> None:
    drifted = np.zeros((60, 80), bool)
    drifted[50:58, 4:8] = True
    follow.wrong[5] = drifted
    follow.mark(0, 1, 2)
    follow.follow(LENGTH - 1)
    assert follow.following.stopped_at == 5
    assert follow.following.doubted == (1,)
    assert follow.viewer.dims.point[0] == 5
    assert "Stopped at slice 5" in follow.said[-1][0]
    assert "object 1" in follow.said[-1][0]
    assert not follow.data[6:].any()
    assert follow.following.trusts is not None
    assert follow.following.trusts.slices[5].doubts
    # A person paints it right, and it goes on from there with the same memory.
    wrong = np.nonzero(follow.data[5] == 1)
    follow.layer.layer.data_setitem((np.full(len(wrong[0]), 5), *wrong), 0)
    right = np.nonzero(follow.truth[5] == 1)
    follow.layer.layer.data_setitem((np.full(len(right[0]), 5), *right), 1)
    follow.wrong.clear()
    follow.follow(LENGTH - 1)
    assert (follow.data == follow.truth).all()
    assert follow.trackers == 1
    assert follow.following.stopped_at is None


def test_what_has_left_where_the_brake_held_is_found_when_it_comes_back(follow: Follow) -> None:
    nowhere = np.zeros((60, 80), bool)
    follow.wrong[4] = nowhere
    follow.mark(0, 1, 2)
    follow.follow(LENGTH - 1)
    assert follow.following.stopped_at == 4
    assert "object 1: not seen any more" in follow.said[-1][0]
    follow.follow(LENGTH - 1)  # it is right that it is not there
    assert [1 in plane for plane in follow.data] == [i != 4 for i in range(LENGTH)]
    assert (follow.data[5:] == follow.truth[5:]).all()
    # Elsewhere nothing is known of an object that is not on the slice.
    follow.viewer.dims.set_point(0, 4)
    follow.follow(LENGTH - 1, 1)
    assert "None of the selected objects is on this slice" in follow.said[-1][0]


def test_without_the_brake_doubts_are_shown_only(follow: Follow) -> None:
    follow.wrong[5] = np.pad(np.ones((8, 4), bool), ((50, 2), (4, 72)))
    follow.mark(0, 1)
    follow.follow(LENGTH - 1, least=None)
    assert follow.data[11].any()
    assert follow.following.trusts is not None
    assert follow.following.trusts.slices[5].doubts


def test_stop_keeps_what_was_found(follow: Follow) -> None:
    follow.mark(0, 1)
    follow.following.follow(follow.image, follow.layer, [], LENGTH - 1)
    trusts: list[Any] = []
    follow.following.trusted.connect(trusts.append)
    follow.post.wait(lambda: any(3 in each.slices for each in trusts))
    follow.following.stop()
    assert not follow.following.running
    assert follow.data[3].any()
    assert "Stopped" in follow.said[-1][0]
    follow.layer.layer.undo()
    assert not follow.data[1:].any()


def test_other_objects_keep_their_pixels(follow: Follow) -> None:
    other = np.nonzero(follow.truth[4] == 1)
    half = tuple(axis[: len(axis) // 2] for axis in other)
    follow.layer.write((np.full(len(half[0]), 4), *half), np.full(len(half[0]), 9), {9: FoundObject.by_hand("stone")})
    follow.mark(0, 1)
    follow.follow(6)
    assert (follow.data[4][half] == 9).all()


class Reader:
    """As plugins open videos: an array that decodes a frame when it is asked for."""

    def __init__(self, frames: Any) -> None:
        self._frames = frames
        self.shape, self.dtype, self.ndim = frames.shape, frames.dtype, frames.ndim
        self.read: list[int] = []

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Any) -> Any:
        at = index[0] if isinstance(index, tuple) else index
        self.read.append(int(at) if not isinstance(at, slice) else -1)
        return self._frames[index]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise AssertionError("the whole video was read")


@pytest.mark.parametrize("kind", ["numpy", "dask", "reader", "memmap"])
def test_arrays_of_every_kind_are_followed(kind: str, post: Any, stack: Any, tmp_path: Path) -> None:
    source: Any = stack
    if kind == "dask":
        source = da.from_array(stack, chunks=(1, *stack.shape[1:]))
    elif kind == "reader":
        source = Reader(stack)
    elif kind == "memmap":
        source = np.memmap(tmp_path / "clip", dtype=stack.dtype, shape=stack.shape, mode="w+")
        source[...] = stack
    made = Follow(post, source, rgb=True, scale=(2, 1, 1))
    made.mark(0, 1, 2)
    made.follow(LENGTH - 1)
    assert (made.data == made.truth).all()
    assert made.viewer.dims.point[0] == 2 * (LENGTH - 1)
    made.following.close()


def test_what_cannot_be_followed_is_said(follow: Follow, stack: Any) -> None:
    def say(*arguments: Any) -> str:
        follow.following.follow(*arguments)
        assert not follow.following.running
        return follow.said[-1][0]

    follow.viewer.dims.set_point(0, 0)
    assert "no object on this slice" in say(follow.image, follow.layer, [], 5)
    assert "There is no object to follow" in say(follow.image, None, [], 5)
    follow.mark(5, 1)
    assert "None of the selected" in say(follow.image, follow.layer, [2], 9)
    assert "range ends at this slice" in say(follow.image, follow.layer, [], 5)
    flat = follow.viewer.add_image(stack[0], name="flat", rgb=True)
    assert "one picture" in say(flat, follow.layer, [], 5)
    follow.layer.protection = "This image is verified."
    assert say(follow.image, follow.layer, [], 9) == "This image is verified."


def test_a_failing_model_is_told_and_the_preview_goes(follow: Follow) -> None:
    def fail(_job: Any) -> Any:
        raise RuntimeError("no memory")

    follow.following._make_tracker = fail
    follow.mark(0, 1)
    follow.follow(5)
    assert "no memory" in follow.said[-1][0]
    assert len(follow.viewer.layers) == 2
