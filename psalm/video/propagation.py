"""From the frames in which objects are marked to all others: forward, backward, the nearest marked frame counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from psalm.errors import ConditionError
from psalm.video.frames import Frames
from psalm.video.records import KnownFrame, TrackedFrame, TrackedObject
from psalm.video.tracker import Tracker, TrackLimits

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

AGREEMENT = 0.5  # IoU where the tracks from two marked frames meet


@dataclass(frozen=True)
class _Pass:
    """One way through the video from a marked frame.

    Parameters
    ----------
    known : KnownFrame
    step : int
        1 forward, -1 backward.
    stops : dict of int to int
        By object, the last frame that it is followed to.
    meets : dict of int to int
        By object, the marked frame whose pass comes the other way and ends at the same frame.
    """

    known: KnownFrame
    step: int
    stops: dict[int, int]
    meets: dict[int, int]

    @property
    def frames(self) -> range:
        """The frames to go through, in order."""
        ends = [abs(stop - self.known.index) for stop in self.stops.values()]
        return range(self.known.index + self.step, self.known.index + self.step * (max(ends, default=0) + 1), self.step)

    def ids_at(self, index: int) -> set[int]:
        """The objects that are still followed at a frame."""
        return {i for i, stop in self.stops.items() if (stop - index) * self.step >= 0}


def propagate(
    predictor: PSALMPredictor,
    frames: Frames,
    known: Sequence[KnownFrame],
    *,
    first: int = 0,
    last: int | None = None,
    limits: TrackLimits | None = None,
    make_tracker: Callable[[], Tracker] | None = None,
) -> Iterator[TrackedFrame]:
    """Follow marked objects through the frames `first` to `last` (inclusive).

    Every object is followed from the nearest frame in which it is marked; an empty mask says that it is away there, and
    a tracker that knows it already looks for it from there on. Where its tracks from two marked frames meet they are
    compared, and what disagrees is doubted. One frame's features are in memory at a time, whatever the length.

    Parameters
    ----------
    predictor : PSALMPredictor
    frames : Frames
        From `open_frames`.
    known : sequence of KnownFrame
        One or more; all that name an object count for it.
    first, last : int
        The range; all frames when not given. Marked frames outside it are not used.
    limits : TrackLimits, optional
    make_tracker : callable, optional
        A tracker for each pass, where another one is wanted.

    Yields
    ------
    TrackedFrame
        In the order in which they are found: forward from each marked frame, then backward. Where two tracks meet the
        frame comes a second time, with the trust that their agreement leaves.

    Raises
    ------
    ConditionError
        When no frame is marked in the range, or a frame is marked twice.
    """
    last = len(frames) - 1 if last is None else last
    if not 0 <= first <= last < len(frames):
        raise ConditionError(f"The range {first} to {last} does not lie in the {len(frames)} frames: correct it.")
    marked = sorted((one for one in known if first <= one.index <= last), key=lambda one: one.index)
    if not marked:
        raise ConditionError(f"No frame from {first} to {last} is marked: mark an object in one.")
    if len({one.index for one in marked}) < len(marked):
        raise ConditionError("A frame is marked twice: join its objects in one KnownFrame.")
    make = make_tracker or (lambda: Tracker(predictor, limits))
    ends: dict[tuple[int, int], TrackedObject] = {}
    for way in _passes(marked, first, last):
        if way.step < 0 and not way.frames:
            continue
        tracker = make()
        start = tracker.start(frames[way.known.index], way.known)
        if way.step > 0:
            yield start  # a backward pass starts from a frame that was given before
        for index in way.frames:
            tracker.keep_only(way.ids_at(index))
            if not tracker.ids:
                break
            found = tracker.step(index, frames[index])
            yield replace(found, objects=tuple(_met(one, index, way, ends) for one in found.objects))


def _passes(marked: Sequence[KnownFrame], first: int, last: int) -> list[_Pass]:
    """Forward from every marked frame, then backward; each object goes as far as half way to its next mark."""
    passes = []
    for step, end in ((1, last), (-1, first)):
        for here in marked:
            stops, meets = {}, {}
            for i in here.masks:
                marks = [one.index for one in marked if i in one.masks and (one.index - here.index) * step > 0]
                other = min(marks, key=lambda index: abs(index - here.index), default=None)
                stops[i] = end if other is None else (here.index + other) // 2
                if other is not None and abs(other - here.index) == 1:
                    stops[i] = here.index
                elif other is not None:
                    meets[i] = other
            passes.append(_Pass(here, step, stops, meets))
    return passes


def _met(one: TrackedObject, index: int, way: _Pass, ends: dict[tuple[int, int], TrackedObject]) -> TrackedObject:
    """The object; where its tracks from two marked frames meet, the second is compared with the first."""
    if one.id not in way.meets or way.stops[one.id] != index:
        return one
    earlier = ends.pop((one.id, index), None)
    if earlier is not None:
        return _agreed(one, earlier, (way.meets[one.id], way.known.index))
    ends[one.id, index] = one
    return one


def _agreed(one: TrackedObject, other: TrackedObject, marks: tuple[int, int]) -> TrackedObject:
    """Of two masks of an object the more trusted one, with what their agreement leaves of its trust."""
    better = one if one.trust >= other.trust else other
    if one.cutout is None or other.cutout is None:
        agreement = float(one.cutout is None and other.cutout is None)
    else:
        shared = one.cutout.overlap(other.cutout)
        agreement = shared / (one.cutout.area + other.cutout.area - shared)
    doubts = better.doubts
    if agreement < AGREEMENT:
        doubts = (*doubts, f"the tracks from frames {marks[0]} and {marks[1]} disagree (IoU {agreement:.2f})")
    return replace(better, trust=better.trust * agreement, doubts=doubts)
