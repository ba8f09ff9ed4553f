from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.key_bindings import KeymapHandler, coerce_keybinding
from napari.utils.shortcuts import default_shortcuts

from napari_psalm.core.keys import ACTIONS, DEFAULT_KEYS, bind_actions, bind_undo, wrong_keys

LAYERS = (
    lambda: Image(np.zeros((4, 4))),
    lambda: Labels(np.zeros((4, 4), dtype=np.uint8)),
    lambda: Points(np.zeros((1, 2))),
    lambda: Shapes(np.zeros((4, 2))),
)


def _press(viewer: ViewerModel, key: str) -> None:
    handler = KeymapHandler()
    handler.keymap_providers = [layer for layer in [viewer.layers.selection.active] if layer] + [viewer]
    handler.press_key(key)


def test_no_default_is_taken_from_napari() -> None:
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not taken & {str(coerce_keybinding(key)) for key in DEFAULT_KEYS.values()}
    assert not wrong_keys(DEFAULT_KEYS)


def test_names_and_texts_are_one_each() -> None:
    assert len({action.name for action in ACTIONS}) == len(ACTIONS)
    assert all(action.text for action in ACTIONS)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("key", ["G", "E", "2", "Alt-1"])
def test_keys_work_with_any_layer_selected(make: Any, key: str) -> None:
    viewer, pressed = ViewerModel(), []
    stop = bind_actions(viewer, {"segment": lambda: pressed.append(1)}, {"segment": key})
    _press(viewer, key)
    viewer.add_layer(make())
    _press(viewer, key)
    assert len(pressed) == 2
    stop()
    _press(viewer, key)
    assert len(pressed) == 2


def test_an_action_without_a_key_is_not_bound() -> None:
    viewer = ViewerModel()
    bind_actions(viewer, {"segment": lambda: None, "help": lambda: None}, {"segment": "", "help": "F1"})
    assert [str(key) for key in viewer.keymap] == ["F1"]


def test_keys_that_cannot_be_used_are_named() -> None:
    keys = {"segment": "G", "click": "G", "accept": "Nonsense", "reject": "Shift-", "help": ""}
    assert wrong_keys(keys) == ["click", "accept", "reject"]


def test_undo_reaches_the_objects_unless_the_selected_layer_has_its_own() -> None:
    viewer, pressed = ViewerModel(), []
    stop = bind_undo(viewer, lambda: pressed.append("undo"), lambda: pressed.append("redo"))
    viewer.add_image(np.zeros((4, 4)))
    _press(viewer, "Ctrl-Z")
    _press(viewer, "Ctrl-Shift-Z")
    assert pressed == ["undo", "redo"]
    labels = viewer.add_labels(np.zeros((4, 4), dtype=np.uint8))
    labels.paint((1, 1), 1)
    _press(viewer, "Ctrl-Z")
    assert not labels.data.any()
    assert len(pressed) == 2
    stop()
    viewer.layers.selection.active = viewer.layers[0]
    _press(viewer, "Ctrl-Z")
    assert len(pressed) == 2
