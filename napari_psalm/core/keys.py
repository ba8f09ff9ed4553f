"""Keys on the canvas: what each does, its default, and how they are bound whatever layer is selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel

MOST_CLASS_KEYS = 9


@dataclass(frozen=True)
class Action:
    """Something a key does.

    Parameters
    ----------
    name : str
        How preferences and handlers call it.
    key : str
        The default, as napari writes keys ("Shift-M"). None of napari's own.
    text : str
        What it does, for the cheat sheet.
    group : str
        Heading in the cheat sheet.
    """

    name: str
    key: str
    text: str
    group: str


ACTIONS = (
    Action("segment", "G", "Segment the image", "Find"),
    Action("click", "K", "Mark objects with clicks", "Find"),
    Action("accept", "N", "Accept the preview", "Find"),
    Action("reject", "U", "Reject the preview", "Find"),
    Action("refine", "H", "Refine the selected object with prompts", "Find"),
    Action("next_prompt", "Q", "Let the next prompts mark another object", "Find"),
    Action("exclude", ";", "Let the next prompts exclude, or include again", "Find"),
    Action("delete", "Shift-D", "Delete the selected objects", "Objects"),
    Action("merge", "Shift-M", "Merge the selected objects", "Objects"),
    Action("split", "Shift-S", "Split into connected parts", "Objects"),
    Action("fill_holes", "Shift-H", "Fill holes", "Objects"),
    Action("keep_largest", "Shift-K", "Keep the largest part", "Objects"),
    Action("next_object", "J", "Select the next object", "Objects"),
    Action("previous_object", "Shift-J", "Select the previous object", "Objects"),
    *(
        Action(f"class_{i}", f"Alt-{i}", f"Give class {i} to the selected objects, and to the next", "Classes")
        for i in range(1, MOST_CLASS_KEYS + 1)
    ),
    Action("next_image", ".", "Next image", "Images"),
    Action("previous_image", ",", "Previous image", "Images"),
    Action("verify", "W", "Verify and go to the next image that needs work", "Images"),
    Action("skip", "Shift-W", "Skip the image", "Images"),
    Action("help", "F1", "Show or hide this list", "Help"),
)

DEFAULT_KEYS = {action.name: action.key for action in ACTIONS}


def bind_actions(
    viewer: ViewerModel, handlers: Mapping[str, Callable[[], Any]], keys: Mapping[str, str]
) -> Callable[[], None]:
    """Bind keys on the viewer and on every layer it has or gets; returns what unbinds them.

    A layer's own keys come before those of the viewer, so a key that the user took from napari works on each layer
    only when it is bound there too.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    handlers : mapping of str to callable
        What to call, by the name of the action; may hold some of them only.
    keys : mapping of str to str
        The key of each action; an empty key leaves an action without one.
    """
    bound = {keys[name]: handler for name, handler in handlers.items() if keys.get(name)}

    def bind(provider: Any) -> None:
        for key, handler in bound.items():
            provider.bind_key(key, lambda _provider, handler=handler: handler() and None, overwrite=True)

    def unbind(provider: Any) -> None:
        for key in bound:
            provider.bind_key(key, None)

    def on_insert(event: Any) -> None:
        bind(event.value)

    for provider in (viewer, *viewer.layers):
        bind(provider)
    viewer.layers.events.inserted.connect(on_insert)

    def stop() -> None:
        viewer.layers.events.inserted.disconnect(on_insert)
        for provider in (viewer, *viewer.layers):
            unbind(provider)

    return stop


def bind_undo(viewer: ViewerModel, undo: Callable[[], Any], redo: Callable[[], Any]) -> Callable[[], None]:
    """Let Ctrl-Z and Ctrl-Shift-Z work while a layer is selected that has no undo of its own; returns what unbinds.

    They are bound on the viewer, which comes after the layers, so a Labels layer that is selected undoes its own.
    """
    bound = {"Ctrl-Z": undo, "Ctrl-Shift-Z": redo}
    for key, handler in bound.items():
        viewer.bind_key(key, lambda _viewer, handler=handler: handler() and None, overwrite=True)

    def stop() -> None:
        for key in bound:
            viewer.bind_key(key, None)

    return stop


def wrong_keys(keys: Mapping[str, str]) -> list[str]:
    """Names of actions whose key napari cannot read, or that share a key with an earlier action."""
    wrong: list[str] = []
    seen: set[str] = set()
    for name, key in keys.items():
        binding = _readable(key)
        if key and (binding is None or binding in seen):
            wrong.append(name)
        elif binding is not None:
            seen.add(binding)
    return wrong


def _readable(key: str) -> str | None:
    """A key as napari writes it; None when it knows no such key."""
    from napari.utils.key_bindings import coerce_keybinding

    try:
        binding = str(coerce_keybinding(key))
    except (TypeError, ValueError):
        return None
    # What is not known is read as no key, behind its modifiers.
    return None if not binding or binding.endswith("+") else binding
