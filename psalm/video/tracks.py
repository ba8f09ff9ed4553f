"""All that was found in a video, kept as run-length codes and written as files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from psalm.annotations import Category
from psalm.errors import AnnotationError
from psalm.formats.youtube_vis import TrackEntry, VideoEntry, write_video_coco, write_youtube_vis
from psalm.video.frames import Frames
from psalm.video.records import TrackedFrame, TrackedObject


class Tracks:
    """Collects tracked frames in any order; an object that comes again in a frame takes the place of what was there.

    Parameters
    ----------
    frames : Frames
    name : str
        Of the video.
    """

    def __init__(self, frames: Frames, name: str = "video") -> None:
        self._names, self._name = tuple(frames.names), name
        self._size: tuple[int, int] | None = None
        self._found: dict[int, dict[int, tuple[dict[str, object], float, float]]] = {}
        self._known: set[tuple[int, int]] = set()

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects, absent ones too."""
        return tuple(sorted(self._found))

    def add(self, frame: TrackedFrame) -> None:
        """Take over a frame.

        Raises
        ------
        AnnotationError
            When its size is not that of the frames before.
        """
        if self._size not in (None, frame.size):
            raise AnnotationError(f"Frame {frame.index} has the size {frame.size}, others {self._size}: use one size.")
        self._size = frame.size
        for one in frame.objects:
            self._keep(frame.index, one, frame.known)

    def extend(self, frames: Iterable[TrackedFrame]) -> None:
        """Take over several frames, one at a time."""
        for frame in frames:
            self.add(frame)

    def frames_of(self, track: int) -> tuple[int, ...]:
        """The frames in which an object is."""
        return tuple(sorted(self._found[track]))

    def write_coco(self, path: Path | str, categories: Mapping[int, Category], overwrite: bool = False) -> Path:
        """Write COCO with video fields; see `write_video_coco`.

        Parameters
        ----------
        path : path
        categories : mapping of int to Category
            By object.
        overwrite : bool
        """
        return write_video_coco(path, [self._video()], _listed(categories), self._entries(categories), overwrite)

    def write_youtube_vis(self, path: Path | str, categories: Mapping[int, Category], overwrite: bool = False) -> Path:
        """Write YouTube-VIS; parameters as for `write_coco`."""
        return write_youtube_vis(path, [self._video()], _listed(categories), self._entries(categories), overwrite)

    def _keep(self, index: int, one: TrackedObject, known: bool) -> None:
        track = self._found.setdefault(one.id, {})
        if (one.id, index) in self._known and not known:
            return  # what was marked by hand stays
        if known:
            self._known.add((one.id, index))
        track.pop(index, None)
        if one.cutout is not None and self._size is not None:
            track[index] = one.cutout.to_rle(self._size), one.score, one.trust

    def _video(self) -> VideoEntry:
        if self._size is None:
            raise AnnotationError("No frame was tracked: there is nothing to write.")
        return VideoEntry(1, self._name, self._names, *self._size)

    def _entries(self, categories: Mapping[int, Category]) -> list[TrackEntry]:
        missing = sorted(set(self._found) - set(categories))
        if missing:
            raise AnnotationError(f"Objects {missing} have no category: give one for each.")
        return [
            TrackEntry(
                i,
                1,
                categories[i].id,
                {frame: code for frame, (code, _, _) in found.items()},
                {frame: score for frame, (_, score, _) in found.items()},
                {frame: trust for frame, (_, _, trust) in found.items()},
            )
            for i, found in sorted(self._found.items())
        ]


def _listed(categories: Mapping[int, Category]) -> list[Category]:
    return sorted({category.id: category for category in categories.values()}.values(), key=lambda one: one.id)
