"""Keys and clicks that start a prediction: each is one line to the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Points, Shapes

KEYS = {"segment": "G", "click": "K"}
"""Keys that napari leaves free, on the canvas."""


def bind_keys(viewer: ViewerModel, segment: Callable[[], None], click: Callable[[], None]) -> Callable[[], None]:
    """Let `G` segment and `K` get ready for clicks; returns what unbinds them."""
    viewer.bind_key(KEYS["segment"], lambda _viewer: segment(), overwrite=True)
    viewer.bind_key(KEYS["click"], lambda _viewer: click(), overwrite=True)

    def unbind() -> None:
        for key in KEYS.values():
            viewer.bind_key(key, None)

    return unbind


def segment_when_drawn(layer: Points | Shapes, segment: Callable[[], None]) -> Callable[[], None]:
    """Segment whenever a point or shape was added; returns what stops it."""

    def on_data(event: Any) -> None:
        if str(getattr(event.action, "value", event.action)) == "added":
            segment()

    layer.events.data.connect(on_data)
    return lambda: layer.events.data.disconnect(on_data)
