"""File > Open for COCO files: the image, where it lies beside the file, and one Labels layer per image."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LOOK_AT = 65536


def get_reader(path: str | list[str]) -> Callable[[str], list[tuple[Any, dict[str, Any], str]]] | None:
    """A reader when `path` is a single JSON file that looks like COCO, else None."""
    if isinstance(path, list) or not Path(path).is_file():
        return None
    with open(path, encoding="utf-8", errors="replace") as file:
        start = file.read(_LOOK_AT)
    return read_coco if re.search(r'"(images|annotations|categories)"\s*:\s*\[', start) else None


def read_coco(path: str) -> list[tuple[Any, dict[str, Any], str]]:
    """Image layers, and Labels layers with class, score and prompt in their features."""
    from napari_psalm.core.coco_files import read_layers

    return read_layers(path)
