"""Masks in some frames of a video or stack, followed through the others."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psalm.video.frames import Frames, open_frames
    from psalm.video.propagation import propagate
    from psalm.video.records import KnownFrame, TrackedFrame, TrackedObject
    from psalm.video.tracker import Tracker, TrackLimits
    from psalm.video.tracks import Tracks

_MODULE_OF = {
    "Frames": "frames",
    "KnownFrame": "records",
    "TrackLimits": "tracker",
    "TrackedFrame": "records",
    "TrackedObject": "records",
    "Tracker": "tracker",
    "Tracks": "tracks",
    "open_frames": "frames",
    "propagate": "propagation",
}

__all__ = [
    "Frames",
    "KnownFrame",
    "TrackLimits",
    "TrackedFrame",
    "TrackedObject",
    "Tracker",
    "Tracks",
    "open_frames",
    "propagate",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'psalm.video' has no attribute {name!r}")
    return getattr(import_module(f"psalm.video.{_MODULE_OF[name]}"), name)
