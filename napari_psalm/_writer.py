"""File > Save for Labels layers: one COCO file."""

from __future__ import annotations

from typing import Any


def write_coco(path: str, layers: list[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write the objects of Labels layers to a COCO file.

    napari asks before a file is overwritten.

    Parameters
    ----------
    path : str
        The file.
    layers : list of (data, attributes, "labels")
        The layers as napari gives them.

    Returns
    -------
    list of str
        The path written.
    """
    from napari_psalm.core.coco_files import write_labels

    # What waits in the preview was not accepted, unless it is all that is to be saved.
    accepted = [layer for layer in layers if not layer[1].get("metadata", {}).get("psalm", {}).get("preview")]
    write_labels(path, [(data, attributes) for data, attributes, _ in accepted or layers], overwrite=True)
    return [path]
