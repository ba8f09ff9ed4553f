"""What the user chose in Preferences > PSALM; the manifest (`configurations`) declares the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from napari_psalm.core.keys import DEFAULT_KEYS

PLUGIN = "napari-psalm"


@dataclass(frozen=True)
class ModelPreferences:
    """Which model answers, and where it runs.

    Parameters
    ----------
    name : str
        Name or folder of a model.
    device : {"auto", "cpu", "cuda", "mps"}
        Where it runs; auto takes a GPU when there is one.
    cache_megabytes : int
        Memory for encoded images, so that going back to an image does not encode it again.
    """

    name: str = "psalm-tiny"
    device: str = "auto"
    cache_megabytes: int = 512


@dataclass(frozen=True)
class ThresholdPreferences:
    """Where the sliders stand when the annotator opens.

    Parameters
    ----------
    score : float
        Least score of an object; 0 takes what suits the model.
    mask : float
        Probability from which a pixel belongs to an object.
    overlap : float
        Largest IoU of two objects that are both kept.
    minimum_area : int
        Smallest object, in pixels.
    most_objects : int
        Largest number of objects of one prediction; 0 for no limit.
    """

    score: float = 0.0
    mask: float = 0.5
    overlap: float = 0.8
    minimum_area: int = 0
    most_objects: int = 0


@dataclass(frozen=True)
class Preferences:
    """All of them; `keys` maps the name of an action in `napari_psalm.core.keys` to its key."""

    model: ModelPreferences = field(default_factory=ModelPreferences)
    thresholds: ThresholdPreferences = field(default_factory=ThresholdPreferences)
    keys: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_KEYS))


def read_preferences() -> Preferences:
    """The preferences as they are now; the defaults where napari does not know the plugin."""
    settings = _settings()
    if settings is None:
        return Preferences()
    keys = {name: str(getattr(settings.keys, name, key)).strip() for name, key in DEFAULT_KEYS.items()}
    return Preferences(
        _group(ModelPreferences(), settings.model), _group(ThresholdPreferences(), settings.thresholds), keys
    )


def when_preferences_change(react: Callable[[], None]) -> Callable[[], None]:
    """Call `react` after each change in Preferences; returns what stops it."""
    settings = _settings()
    if settings is None:
        return lambda: None

    def on_change(event: Any = None) -> None:
        react()

    events = [getattr(settings, group.name).events for group in fields(Preferences)]
    for emitter in events:
        emitter.connect(on_change)

    def stop() -> None:
        for emitter in events:
            emitter.disconnect(on_change)

    return stop


def _settings() -> Any:
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9 has none
        return None
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:  # the plugin is switched off, or runs from a checkout that is not installed
        return None


def _group(defaults: Any, settings: Any) -> Any:
    return replace(defaults, **{f.name: getattr(settings, f.name) for f in fields(defaults)})
