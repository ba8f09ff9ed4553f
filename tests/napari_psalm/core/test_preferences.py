from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest

from napari_psalm.core import preferences
from napari_psalm.core.keys import ACTIONS, DEFAULT_KEYS
from napari_psalm.core.preferences import Preferences, read_preferences, when_preferences_change

MANIFEST = Path(__file__).resolve().parents[3] / "napari_psalm" / "napari.yaml"


@pytest.fixture
def settings(plugin_settings: Any, npe2pm: Any) -> Any:
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return get_plugin_settings("napari-psalm")


def test_the_manifest_declares_the_same_defaults() -> None:
    declared = PluginManifest.from_file(MANIFEST).contributions.configurations
    defaults = asdict(Preferences())
    assert set(declared) == set(defaults)
    for group, values in defaults.items():
        assert {name: one.default for name, one in declared[group].properties.items()} == values
    assert {name: one.title for name, one in declared["keys"].properties.items()} == {a.name: a.text for a in ACTIONS}


def test_what_is_changed_is_read_and_told(settings: Any) -> None:
    told: list[str] = []
    stop = when_preferences_change(lambda: told.append(read_preferences().keys["segment"]))
    assert read_preferences() == Preferences()
    settings.model.device = "cpu"
    settings.keys.segment = "Ctrl-G"
    settings.thresholds.minimum_area = 9
    changed = read_preferences()
    assert (changed.model.device, changed.keys["segment"], changed.thresholds.minimum_area) == ("cpu", "Ctrl-G", 9)
    assert told == [DEFAULT_KEYS["segment"], "Ctrl-G", "Ctrl-G"]
    stop()
    settings.model.device = "auto"
    assert len(told) == 3


def test_without_settings_there_are_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "_settings", lambda: None)
    assert read_preferences() == Preferences()
    when_preferences_change(lambda: None)()
