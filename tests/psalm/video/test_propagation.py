"""Forward, backward, and between several marked frames."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from psalm.errors import ConditionError
from psalm.video import KnownFrame, Tracker, TrackLimits, propagate

from .conftest import Clip, GreyFollower

NOBODY: Any = None


def run(clip: Clip, known: list[KnownFrame], followers: list[GreyFollower] | None = None, **options: Any) -> list[Any]:
    ready = iter(followers or [])
    make = lambda: Tracker(NOBODY, TrackLimits(), next(ready, None) or GreyFollower())  # noqa: E731
    return list(propagate(NOBODY, clip, known, make_tracker=make, **options))


def test_from_one_frame_in_the_middle_all_others_are_reached(clip: Clip):
    frames = run(clip, [clip.known(7, 1, 2)])
    assert [frame.index for frame in frames] == [7, 8, 9, 10, 11, 6, 5, 4, 3, 2, 1, 0]
    assert [frame.known for frame in frames] == [True] + [False] * 11
    assert all((frame.to_labels() == clip[frame.index][..., 0]).all() for frame in frames)


def test_a_range_is_kept(clip: Clip):
    assert sorted(frame.index for frame in run(clip, [clip.known(5, 1)], first=3, last=6)) == [3, 4, 5, 6]


def test_the_nearest_marked_frame_counts(clip: Clip):
    frames = run(clip, [clip.known(0, 1), clip.known(8, 1)])
    # Forward to the middle and from the second mark on, then backward to the middle, which comes twice.
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 8, 9, 10, 11, 7, 6, 5, 4]
    assert frames[-1].doubts == ()
    assert frames[-1].trust == pytest.approx(0.9)


def test_tracks_that_disagree_where_they_meet_are_doubted(clip: Clip):
    lost = np.zeros((60, 80), dtype=bool)
    lost[50:58, 60:74] = True
    # The forward track from frame 0 is elsewhere when it reaches frame 4.
    frames = run(clip, [clip.known(0, 1), clip.known(8, 1)], [GreyFollower({4: lost})])
    assert "the tracks from frames 0 and 8 disagree (IoU 0.00)" in frames[-1].doubts[0]
    assert frames[-1].trust == 0


def test_an_object_marked_once_passes_the_marks_of_others(clip: Clip):
    frames = run(clip, [clip.known(0, 1, 2), clip.known(3, 1)])
    seen = {i: {frame.index for frame in frames for one in frame.objects if one.id == i} for i in (1, 2)}
    assert seen == {1: set(range(12)), 2: set(range(12))}


def test_neighbouring_marks_need_no_tracking_between_them(clip: Clip):
    frames = run(clip, [clip.known(4, 1), clip.known(5, 1)], last=5, first=4)
    assert [(frame.index, frame.known) for frame in frames] == [(4, True), (5, True)]


def test_an_object_that_is_away_in_the_marked_frame_is_found_again_by_a_tracker_that_knows_it(clip: Clip):
    knowing = Tracker(NOBODY, TrackLimits(), GreyFollower())
    knowing.start(clip[0], clip.known(0, 1, 2))
    away = KnownFrame(4, {2: np.zeros((60, 80), dtype=bool)})
    frames = list(propagate(NOBODY, clip, [away], first=4, make_tracker=lambda: knowing))
    present = {frame.index: frame.objects[0].cutout is not None for frame in frames}
    assert present == {4: False, 5: False, 6: False, 7: True, 8: True, 9: True, 10: True, 11: True}
    assert [frame.index for frame in run(clip, [away])] == [4]  # one that does not know it has nothing to look for


def test_memory_does_not_grow_with_the_length():
    def peak(length: int) -> int:
        clip = Clip([lambda t: (20 + t % 9, 30)], length)
        make = lambda: Tracker(NOBODY, TrackLimits(), GreyFollower())  # noqa: E731
        tracemalloc.start()
        for _ in propagate(NOBODY, clip, [clip.known(0, 1)], make_tracker=make):
            clip.read.clear()
        for_all = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return for_all

    peak(4)  # what is loaded once does not count
    # The record of what was remembered, kept by the test itself, is some bytes per frame.
    assert peak(300) < peak(10) + 100_000


def test_nonsense_is_refused(clip: Clip):
    with pytest.raises(ConditionError, match="is marked: mark"):
        run(clip, [clip.known(2, 1)], first=4)
    with pytest.raises(ConditionError, match="marked twice"):
        run(clip, [clip.known(2, 1), clip.known(2, 2)])
    with pytest.raises(ConditionError, match="does not lie in"):
        run(clip, [clip.known(2, 1)], last=40)
