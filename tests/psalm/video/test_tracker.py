"""What is believed, what is doubted and what becomes the memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from psalm.errors import ConditionError
from psalm.video import KnownFrame, Tracker, TrackLimits

from .conftest import SIZE, Clip, GreyFollower

NOBODY: Any = None  # a tracker with a follower of its own needs no predictor


def tracker(follower: GreyFollower, **limits: float) -> Tracker:
    return Tracker(NOBODY, TrackLimits(**limits), follower)


def test_objects_that_leave_come_back_with_their_ids(clip: Clip):
    follow = tracker(GreyFollower())
    follow.start(clip[0], clip.known(0, 1, 2))
    frames = [follow.step(t, clip[t]) for t in range(1, 12)]
    present = {frame.index: [one.id for one in frame.objects if one.cutout is not None] for frame in frames}
    assert present == {t: [1] if 4 <= t <= 6 else [1, 2] for t in range(1, 12)}
    assert all((frame.to_labels() == clip[frame.index][..., 0]).all() for frame in frames)


def test_only_what_is_trusted_is_remembered(clip: Clip):
    wrong = np.zeros(SIZE, dtype=bool)
    wrong[:40] = True  # far too large
    follower = GreyFollower({2: wrong})
    follow = tracker(follower)
    follow.start(clip[0], clip.known(0, 1, 2))
    frames = [follow.step(t, clip[t]) for t in (1, 2, 3)]
    assert follower.remembered == [(1, 2), (1, 2), (2,), (2,)]
    assert any("area changed" in doubt for doubt in frames[1].doubts)
    assert frames[1].trust < 0.1 < 0.8 < frames[0].trust


def test_objects_that_cannot_be_told_apart_are_not_remembered(clip: Clip):
    follower = GreyFollower()
    follow = tracker(follower)
    follow.start(clip[0], clip.known(0, 1, 2))
    follower._wrong[1] = clip[1][..., 0] == 2  # the second object is taken for the first
    frame = follow.step(1, clip[1])
    assert follower.remembered == [(1, 2)]
    assert len(frame.doubts) == 2
    assert "cannot be told from object 2" in frame.doubts[0]


def test_a_mask_that_runs_over_into_a_smaller_object_loses_it(clip: Clip):
    over = np.zeros(SIZE, dtype=bool)
    over[10:56, 5:68] = True  # both discs of the first frame, and more
    follow = tracker(GreyFollower({1: over}))
    follow.start(clip[0], clip.known(0, 1, 2))
    frame = follow.step(1, clip[1])
    second = clip[1][..., 0] == 2
    large, small = (one.cutout.full(SIZE) for one in frame.objects if one.cutout is not None)
    assert (large == (over & ~second)).all() and (small == second).all()


def test_an_object_that_was_marked_around_another_one_keeps_its_place(clip: Clip):
    around = np.zeros(SIZE, dtype=bool)
    around[30:58, 45:80] = True
    second = clip[0][..., 0] == 2
    follow = tracker(GreyFollower({1: around}))
    follow.start(clip[0], KnownFrame(0, {1: around, 2: second}))
    large = follow.step(1, clip[1]).objects[0]
    assert large.cutout is not None and (large.cutout.full(SIZE) == around).all()


def test_a_low_score_and_a_jump_are_doubted(clip: Clip):
    low = tracker(GreyFollower(score=0.45))
    low.start(clip[0], clip.known(0, 1))
    assert low.step(1, clip[1]).doubts == ("object 1: score 0.45",)
    jump = tracker(GreyFollower(), overlap=0.3)
    jump.start(clip[0], clip.known(0, 1))
    assert "overlap with its last place" in jump.step(6, clip[6]).doubts[0]


def test_a_score_that_falls_is_doubted_and_not_remembered(clip: Clip):
    follower = GreyFollower(score=0.95)
    follow = tracker(follower)
    follow.start(clip[0], clip.known(0, 1))
    assert not follow.step(1, clip[1]).doubts
    follower._score = 0.6  # still above what is doubted by itself
    assert follow.step(2, clip[2]).doubts == ("object 1: score fell from 0.95 to 0.60",)
    assert follow.step(3, clip[3]).doubts, "what was doubted is not what the next frame is compared with"
    assert follower.remembered == [(1,), (1,)]
    follow.start(clip[4], clip.known(4, 1))  # corrected by hand: its score is its own again
    assert not follow.step(5, clip[5]).doubts


def test_what_is_lost_little_by_little_is_doubted_once_it_adds_up(clip: Clip):
    frame = np.zeros((*SIZE, 3), dtype=np.uint8)
    square = np.zeros(SIZE, dtype=bool)
    square[:40, :40] = True
    follower = GreyFollower({t: (np.arange(SIZE[1]) < 40 - 4 * t) & square for t in range(1, 9)})
    follow = tracker(follower)
    follow.start(frame, KnownFrame(0, {1: square}))
    frames = [follow.step(t, frame) for t in range(1, 9)]
    # 24 of 40 columns are left after four frames, 16 after six: more than half is gone. Counted anew, 8 are half of 16.
    assert [frame.index for frame in frames if frame.doubts] == [6]
    assert frames[5].doubts == ("object 1: area changed 2.5 times little by little",)
    assert frames[5].trust == pytest.approx(0.8 * frames[4].trust)
    follow.start(frame, KnownFrame(8, {1: square}))  # corrected by hand: counted from here
    follower._wrong[10] = (np.arange(SIZE[1]) < 36) & square
    assert not follow.step(9, frame).doubts


def test_below_the_limit_an_object_is_absent(clip: Clip):
    follow = tracker(GreyFollower(score=0.3))
    follow.start(clip[0], clip.known(0, 1))
    first, second = follow.step(1, clip[1]), follow.step(2, clip[2])
    assert first.objects[0].cutout is None
    # That it went is doubted once; that it stays away is not.
    assert (first.doubts, second.doubts) == (("object 1: not seen any more",), ())
    assert first.trust == pytest.approx(0.7)


def test_without_a_marked_object_nothing_can_be_followed(clip: Clip):
    with pytest.raises(ConditionError, match="No object is followed"):
        tracker(GreyFollower()).step(1, clip[1])
    with pytest.raises(ConditionError, match="at least one object"):
        KnownFrame(0, {})


def test_a_label_image_names_its_objects():
    labels = np.array([[0, 3], [7, 7]])
    known = KnownFrame.from_labels(4, labels)
    assert {i: int(mask.sum()) for i, mask in known.masks.items()} == {3: 1, 7: 2}
