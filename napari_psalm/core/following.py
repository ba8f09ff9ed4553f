"""Objects of one slice followed through a stack or a video: shown as they are found, written as one step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_psalm.core.history import unique
from napari_psalm.core.image_planes import visible_plane
from napari_psalm.core.plane_frames import PlaneFrames, choose_axis, set_slice
from napari_psalm.core.runner import Job, Post, Runner
from napari_psalm.core.track_preview import TrackPreview, WrittenTrack, write_track
from napari_psalm.core.trust import SliceTrust, Trusts
from psalm.errors import AnnotationError, PSALMError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_psalm.core.annotation_layers import AnnotationLayer
    from psalm.video import KnownFrame, TrackedFrame, Tracker

LOGGER = logging.getLogger(__name__)
MakeTracker = Callable[[Job], "Tracker"]
"""Makes what follows objects, in the worker thread."""


@dataclass
class _Run:
    """One propagation, from its start until it is written.

    Parameters
    ----------
    layer : AnnotationLayer
    frames : PlaneFrames
    start, end : int
        The slice in which the objects are marked, and the last one.
    ids : tuple of int
    found : dict of int to TrackedFrame
        By slice.
    at : int
        The slice that the slider was put on last.
    trusts : Trusts, optional
        What was known before.
    """

    layer: AnnotationLayer
    frames: PlaneFrames
    start: int
    end: int
    ids: tuple[int, ...]
    preview: TrackPreview
    found: dict[int, TrackedFrame] = field(default_factory=dict)
    at: int = -1
    trusts: Trusts | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What a run has in common with the one that it goes on with."""
        return self.layer.layer, self.frames.axis, self.start < self.end


class Following:
    """Follows objects of the slice that is shown to others, forward or backward.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    post : callable
        See `napari_psalm.core.runner.Post`.
    make_tracker : callable
        Called in the worker thread.
    """

    status = Signal(str, str)
    """Text for the status line, and its level: info, good or problem."""
    busy = Signal(bool)
    """Whether objects are being followed."""
    trusted = Signal(object)
    """The `Trusts` of the slices so far."""

    def __init__(self, viewer: ViewerModel, post: Post, make_tracker: MakeTracker) -> None:
        self._viewer, self._post, self._make_tracker = viewer, post, make_tracker
        self._runner = Runner(post)
        self._run: _Run | None = None
        self._memory: tuple[tuple[Any, ...], Tracker] | None = None
        self._written: list[tuple[_Run, WrittenTrack]] = []
        self.trusts: Trusts | None = None
        self.stopped_at: int | None = None
        """The slice at which the brake held, until objects are followed again."""
        self.doubted: tuple[int, ...] = ()
        """The objects because of which the brake held."""
        self.forward = True
        """Which way objects were followed last."""
        self.least_overlap = 0.1
        """IoU with an object's place one slice before; less is taken for drift."""

    @property
    def running(self) -> bool:
        """Whether objects are being followed."""
        return self._run is not None

    def follow(
        self,
        image: Image | None,
        layer: AnnotationLayer | None,
        ids: Sequence[int],
        end: int,
        least_trust: float | None = 0.5,
    ) -> None:
        """Follow objects from the slice that is shown to another one; returns at once.

        What cannot be done is said in `status`. A run that goes on from the slice at which the brake held, in the same
        direction, still remembers what the objects looked like before.

        Parameters
        ----------
        image : napari.layers.Image
        layer : AnnotationLayer
            Holds the objects.
        ids : sequence of int
            Those to follow; all of the slice when empty.
        end : int
            The last slice.
        least_trust : float, optional
            Stop at the first slice that is doubted or has less trust; never when not given.
        """
        if self._run is not None:
            return
        try:
            run, known = self._begin(image, layer, ids, end)
        except PSALMError as error:
            self.status.emit(str(error), "problem")
            return
        self._run, self.stopped_at, self.forward = run, None, run.start < run.end
        run.trusts = self.trusts
        self._note(run, {run.start: SliceTrust(1.0, known=True)})
        self.busy.emit(True)
        self._runner.submit(
            work=lambda job: self._work(job, run, known, least_trust),
            done=lambda _nothing: self._finish(),
            failed=self._fail,
            told=lambda step: self.status.emit(step, "info"),
        )

    def stop(self) -> None:
        """End the run; what was found so far is written, as it is at the end."""
        if self._run is not None:
            self._runner.cancel()
            self._finish("Stopped. ")

    def go_to(self, image: Image | None, index: int) -> None:
        """Show a slice."""
        try:
            plane = visible_plane(self._viewer, image)
            set_slice(self._viewer, PlaneFrames(plane, choose_axis(self._viewer, plane)), index)
        except PSALMError as error:
            self.status.emit(str(error), "problem")

    def forget(self) -> None:
        """Another image is shown: nothing is known of its slices."""
        if self._run is None:
            self.trusts, self.stopped_at, self._memory = None, None, None
            self._written.clear()

    def close(self) -> None:
        """Give up what runs, without writing it."""
        self._runner.close()
        run, self._run = self._run, None
        if run is not None:
            run.preview.remove()

    def _begin(
        self, image: Image | None, layer: AnnotationLayer | None, ids: Sequence[int], end: int
    ) -> tuple[_Run, KnownFrame]:
        from psalm.video import KnownFrame

        plane = visible_plane(self._viewer, image)
        axis = choose_axis(self._viewer, plane)
        if layer is None:
            raise AnnotationError("There is no object to follow: segment or paint one on this slice first.")
        layer.check_protection()
        if not layer.fits(plane):
            raise AnnotationError(
                f"{layer.layer.name!r} does not fit {plane.layer.name!r}: choose the result of this image."
            )
        here, end = plane.position[axis], int(np.clip(end, 0, plane.stack_shape[axis] - 1))
        if end == here:
            raise AnnotationError("The range ends at this slice: widen it, or go to another slice.")
        values = np.asarray(plane.cut(layer.layer.data))
        present = [label_id for label_id in unique(values) if label_id and (not ids or label_id in ids)]
        frames = PlaneFrames(plane, axis)
        away = self._away((layer.layer, axis, here < end), here, present, ids)
        if not present and not away:
            what = "None of the selected objects is" if ids else "There is no object"
            raise AnnotationError(f"{what} on this slice: segment, click or paint one here first.")
        known = KnownFrame(here, {label_id: values == label_id for label_id in (*present, *away)})
        preview = TrackPreview(self._viewer, layer, frames)
        return _Run(layer, frames, here, end, tuple(known.masks), preview), known

    def _away(self, key: tuple[Any, ...], here: int, present: Sequence[int], ids: Sequence[int]) -> list[int]:
        """Where the brake held, the objects that are not on this slice, and may come back on a later one."""
        if self.stopped_at != here or self._memory is None or self._memory[0] != key:
            return []
        return [i for i in self._memory[1].ids if i not in present and (not ids or i in ids)]

    def _work(self, job: Job, run: _Run, known: KnownFrame, least_trust: float | None) -> None:
        """In the worker thread: touches no layer."""
        tracker = self._tracker(job, run)  # first of all, for it lets torch in with care
        from psalm.video import propagate

        first, last = sorted((run.start, run.end))
        nobody: Any = None  # the tracker knows its model
        for frame in propagate(nobody, run.frames, [known], first=first, last=last, make_tracker=lambda: tracker):
            if frame.known:
                continue
            job.step(f"Slice {frame.index}: {abs(frame.index - run.start)} of {abs(run.end - run.start)} …")
            self._post(lambda frame=frame: self._take(run, frame))  # type: ignore[misc]
            if least_trust is not None and (frame.doubts or frame.trust < least_trust):
                self._post(lambda frame=frame: self._brake(run, frame))  # type: ignore[misc]
                return

    def _tracker(self, job: Job, run: _Run) -> Tracker:
        if self._memory is None or self._memory[0] != run.key:
            self._memory = run.key, self._make_tracker(job)
        return self._memory[1]

    def _take(self, run: _Run, frame: TrackedFrame) -> None:
        """Show a slice as soon as it is found; the slider goes along unless somebody moves it elsewhere."""
        if run is not self._run:
            return
        run.found[frame.index] = frame
        run.preview.show(frame)
        self._note(run, {frame.index: SliceTrust(frame.trust, frame.doubts)})
        if run.at in (-1, self._slice(run)):
            self._go_to(run, frame.index)

    def _brake(self, run: _Run, frame: TrackedFrame) -> None:
        if run is self._run:
            least = min(one.trust for one in frame.objects)
            self.stopped_at = frame.index
            doubted = [one.id for one in frame.objects if one.doubts]
            self.doubted = tuple(doubted or (one.id for one in frame.objects if one.trust == least))
            self._go_to(run, frame.index)

    def _finish(self, prefix: str = "") -> None:
        run, self._run = self._run, None
        if run is None:
            return
        run.preview.remove()
        stopped = self.stopped_at
        if stopped is None:
            self._memory = None
        try:
            if run.layer.layer in self._viewer.layers:
                self._write(run)
        except PSALMError as error:
            self.busy.emit(False)
            self.status.emit(str(error), "problem")
            return
        self.busy.emit(False)
        if stopped is not None:
            why = "; ".join(run.found[stopped].doubts) or f"trust {run.found[stopped].trust:.2f}"
            text = f"Stopped at slice {stopped} ({why}). Correct it, then continue; or undo it all at once."
            self.status.emit(text, "problem")
        elif run.found:
            number, slices = len(run.ids), len(run.found)
            what = f"{number} object{'' if number == 1 else 's'} followed through "
            what += f"{slices} slice{'' if slices == 1 else 's'}"
            self.status.emit(f"{prefix}{what}. One undo takes them back.", "good")
        else:
            self.status.emit(f"{prefix}Nothing was followed.", "info")

    def _write(self, run: _Run) -> None:
        written = write_track(run.layer, run.frames, list(run.found.values()), run.ids)
        if written is not None:
            self._written.append((run, written))
            run.layer.changed.connect(self._look_for_undo, unique=True)

    def _look_for_undo(self, _ids: object) -> None:
        """Slices that were taken back have no trust any more, and the slider goes to where they were followed from."""
        if self._run is not None or not self._written or not self._written[-1][1].undone:
            return
        run, _ = self._written.pop()
        self.trusts, self.stopped_at, self._memory = run.trusts, None, None
        self.trusted.emit(self.trusts)
        self.busy.emit(False)
        self._go_to(run, run.start)
        self.status.emit(f"Taken back; the objects are as they were on slice {run.start}.", "info")

    def _fail(self, error: Exception) -> None:
        self._memory = None
        self._finish()
        if isinstance(error, PSALMError):
            self.status.emit(str(error), "problem")
            return
        LOGGER.error("The objects could not be followed", exc_info=error)
        self.status.emit(f"It failed ({type(error).__name__}: {error}). The terminal has details.", "problem")

    def _note(self, run: _Run, slices: dict[int, SliceTrust]) -> None:
        axis = run.frames.axis + self._viewer.dims.ndim - run.preview.ndim
        before = self.trusts
        if before is None or (before.axis, before.length) != (axis, len(run.frames)):
            before = Trusts(axis, len(run.frames))
        self.trusts = replace(before, slices={**before.slices, **slices})
        self.trusted.emit(self.trusts)

    def _slice(self, run: _Run) -> int:
        try:
            return visible_plane(self._viewer, run.preview.image).position[run.frames.axis]
        except PSALMError:  # the view was turned meanwhile
            return -2

    def _go_to(self, run: _Run, index: int) -> None:
        set_slice(self._viewer, run.frames, index)
        run.at = index
