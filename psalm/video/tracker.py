"""Follow objects from one frame to the next: what is found, how far it can be trusted, and what is remembered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psalm.cutouts import Cutout
from psalm.decoding.video import MOST_OVERLAP
from psalm.errors import ConditionError, ImageError
from psalm.video.followers import Follower, Sight, follower_for
from psalm.video.records import KnownFrame, TrackedFrame, TrackedObject

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

_SWALLOWED = 0.5  # of a smaller object's area


@dataclass(frozen=True)
class TrackLimits:
    """What is believed, and what is doubted.

    Parameters
    ----------
    absent : float
        Below this score an object is taken to be out of the picture.
    score : float
        Below this score an object is doubted.
    fall : float
        An object whose score is lower by more than this than when it was last trusted is doubted.
    area : float
        An object whose area changes by more than this factor between frames is doubted.
    drift : float
        An object whose area has changed by more than this factor since it was marked, or since this was last said, is
        doubted: what loses or gains a little in every frame is never seen to change between two of them.
    overlap : float
        An object whose mask overlaps its last one by less than this IoU is doubted; 0 lets it jump.
    together : float
        Two objects that overlap by more than this IoU cannot be told apart, as published.
    """

    absent: float = 0.35
    score: float = 0.5
    fall: float = 0.3
    area: float = 2.0
    drift: float = 2.0
    overlap: float = 0.0
    together: float = MOST_OVERLAP


class Tracker:
    """Follows any number of objects; only what can be trusted becomes the memory.

    Parameters
    ----------
    predictor : PSALMPredictor
    limits : TrackLimits, optional
    follower : Follower, optional
        How the model looks for objects; what fits the model when not given.
    """

    def __init__(
        self, predictor: PSALMPredictor, limits: TrackLimits | None = None, follower: Follower | None = None
    ) -> None:
        self._limits = limits or TrackLimits()
        self._follower = follower or follower_for(predictor)
        self._last: dict[int, Cutout] = {}
        self._scores: dict[int, float] = {}  # when an object was last trusted; those marked by hand say nothing
        self._areas: dict[int, int] = {}  # that drift is counted from
        self._absent: set[int] = set()
        self._nested: set[tuple[int, int]] = set()  # objects that were marked within others: (larger, smaller)

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects that are followed."""
        return tuple(sorted(self._last))

    def keep_only(self, ids: Collection[int]) -> None:
        """Follow no other objects from now on."""
        self._last = {i: cutout for i, cutout in self._last.items() if i in ids}

    def start(self, frame: ArrayLike, known: KnownFrame) -> TrackedFrame:
        """Learn objects from a frame in which they are marked; those that were followed before go on.

        Raises
        ------
        ConditionError
            When masks have another size than the frame.
        """
        size = self._follower.open(frame)
        marked = {i: mask for i, mask in known.masks.items() if mask.any()}
        if marked:
            self._follower.remember(marked)
        self._scores = {i: score for i, score in self._scores.items() if i not in marked}
        cutouts = {i: Cutout.from_mask(mask) for i, mask in known.masks.items()}
        here = {i: cutout for i, cutout in cutouts.items() if cutout is not None}
        self._last.update(here)
        self._areas.update({i: cutout.area for i, cutout in here.items()})
        self._nested |= set(_swallowing(here, self._limits.together))
        gone = {i: mask for i, mask in known.masks.items() if not mask.any() and i in self._last}
        if gone:
            self._follower.locate(gone)
        self._absent = (self._absent | set(gone)) - set(marked)
        objects = tuple(TrackedObject(i, cutouts[i], 1.0, 1.0) for i in sorted(cutouts))
        return TrackedFrame(known.index, size, objects, known=True)

    def step(self, index: int, frame: ArrayLike) -> TrackedFrame:
        """Find the objects in another frame.

        Raises
        ------
        ConditionError
            When no object was learnt.
        ImageError
            When the frame has another size than those before.
        """
        if not self._last:
            raise ConditionError("No object is followed: start with a frame in which one is marked.")
        size = self._follower.open(frame)
        seen = self._uncovered(self._follower.look(self.ids))
        objects = self._judge(seen, size)
        self._learn(objects, seen)
        return TrackedFrame(index, size, tuple(objects))

    def _uncovered(self, seen: Mapping[int, Sight]) -> dict[int, Sight]:
        """A mask that runs over into a smaller object loses what is the other's, unless it was marked around it."""
        present = {i: sight for i, sight in seen.items() if sight.score >= self._limits.absent}
        cutouts = {i: Cutout.from_mask(sight.mask) for i, sight in present.items()}
        here = {i: cutout for i, cutout in cutouts.items() if cutout is not None}
        result = dict(seen)
        for larger, smaller in _swallowing(here, self._limits.together):
            if (larger, smaller) not in self._nested:
                result[larger] = replace(result[larger], mask=result[larger].mask & ~seen[smaller].mask)
        return result

    def _judge(self, seen: Mapping[int, Sight], size: tuple[int, int]) -> list[TrackedObject]:
        objects = []
        for i in self.ids:
            sight = seen.get(i)
            cutout = None if sight is None or sight.score < self._limits.absent else Cutout.from_mask(sight.mask)
            if sight is None or cutout is None:
                score = 0.0 if sight is None else sight.score
                doubts = () if i in self._absent else ("not seen any more",)
                objects.append(TrackedObject(i, None, score, 1 - score, doubts))
            else:
                objects.append(self._compare(i, cutout, sight.score, size))
        return [_apart(one, objects, self._limits.together) for one in objects]

    def _compare(self, i: int, cutout: Cutout, score: float, size: tuple[int, int]) -> TrackedObject:
        """The object beside what it was before."""
        last, limits, doubts = self._last[i], self._limits, []
        if cutout.box[2] > size[0] or last.box[2] > size[0] or last.box[3] > size[1]:
            raise ImageError(f"The frame has the size {size}, smaller than those before: give frames of one size.")
        change, drift = _factor(cutout.area, last.area), _factor(cutout.area, self._areas[i])
        shared = cutout.overlap(last)
        iou = shared / (cutout.area + last.area - shared)
        if score < limits.score:
            doubts.append(f"score {score:.2f}")
        elif self._scores.get(i, 0.0) - score > limits.fall:
            doubts.append(f"score fell from {self._scores[i]:.2f} to {score:.2f}")
        if change > limits.area:
            doubts.append(f"area changed {change:.1f} times")
        elif drift > limits.drift:
            doubts.append(f"area changed {drift:.1f} times little by little")
        if iou < limits.overlap:
            doubts.append(f"overlap with its last place {iou:.2f}")
        trust = score * min(limits.area / change, limits.drift / drift, 1.0)
        return TrackedObject(i, cutout, score, trust, tuple(doubts))

    def _learn(self, objects: list[TrackedObject], seen: Mapping[int, Sight]) -> None:
        trusted = {one.id: seen[one.id].mask for one in objects if one.cutout is not None and not one.doubts}
        if trusted:
            self._follower.remember(trusted)
        self._scores.update({one.id: one.score for one in objects if one.id in trusted})
        nothing: NDArray[np.bool_] = np.zeros((1, 1), dtype=bool)
        self._follower.locate({one.id: seen[one.id].mask if one.cutout is not None else nothing for one in objects})
        here = {one.id: one.cutout for one in objects if one.cutout is not None}
        self._last.update(here)
        self._areas.update(
            {i: cutout.area for i, cutout in here.items() if _factor(cutout.area, self._areas[i]) > self._limits.drift}
        )
        self._absent = {one.id for one in objects if one.cutout is None}


def _apart(one: TrackedObject, objects: list[TrackedObject], limit: float) -> TrackedObject:
    """The object, doubted when it cannot be told from another one."""
    for other in objects:
        if other.id == one.id or one.cutout is None or other.cutout is None:
            continue
        shared = one.cutout.overlap(other.cutout)
        iou = shared / (one.cutout.area + other.cutout.area - shared)
        if iou > limit:
            doubts = (*one.doubts, f"cannot be told from object {other.id}")
            return TrackedObject(one.id, one.cutout, one.score, one.trust * (1 - iou), doubts)
    return one


def _swallowing(cutouts: Mapping[int, Cutout], alike: float) -> Iterator[tuple[int, int]]:
    """Pairs of objects of which the first covers most of the second; such that are alike show one thing instead."""
    order = sorted(cutouts, key=lambda i: cutouts[i].area)
    for k, smaller in enumerate(order):
        for larger in order[k + 1 :]:
            shared = cutouts[smaller].overlap(cutouts[larger])
            union = cutouts[smaller].area + cutouts[larger].area - shared
            if shared > _SWALLOWED * cutouts[smaller].area and shared <= alike * union:
                yield larger, smaller


def _factor(one: int, other: int) -> float:
    """How many times the larger of two areas is the smaller."""
    return max(one / other, other / one)
