"""Colours of objects: one hue per class, a few shades of it so that neighbours can be told apart.

Objects of no listed class have hues of their own, so that they can be told apart and from a grey image.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.class_style import Colour, colour_of
from napari_psalm.core.object_facts import FoundObject

if TYPE_CHECKING:
    from napari.utils import DirectLabelColormap

_SHADES = 5
"""Few, because napari draws more than 1024 distinct colours wrong."""
_HUES = 12
"""Of objects of no listed class."""


def object_colour(label_id: int, category: str, table: CategoryTable) -> Colour:
    """The hue of an object: that of its class, or its own where the class is not in the list.

    Parameters
    ----------
    label_id : int
    category : str
        The name of its class.
    table : CategoryTable

    Returns
    -------
    (red, green, blue), 0 to 1
    """
    return table.colour_of(category) if table.id_of(category) else colour_of(1 + label_id % _HUES)


def object_colormap(objects: Mapping[int, FoundObject], table: CategoryTable) -> DirectLabelColormap:
    """A colour for each object; grey for every other id.

    Parameters
    ----------
    objects : mapping of int to FoundObject
        The objects by their ids.
    table : CategoryTable
        Knows the colours of the classes.
    """
    import numpy as np
    from napari.utils import DirectLabelColormap

    shades: dict[tuple[Colour, int], Any] = {}
    colours: dict[int | None, Any] = {
        None: np.array((*colour_of(0), 1.0), dtype=np.float32),
        0: np.zeros(4, dtype=np.float32),
    }
    for label_id, found in objects.items():
        key = (object_colour(label_id, found.category, table), label_id % _SHADES)
        if key not in shades:
            shades[key] = np.array(_shade(*key), dtype=np.float32)
        colours[label_id] = shades[key]
    return DirectLabelColormap(color_dict=colours)


def _shade(colour: Colour, number: int) -> tuple[float, float, float, float]:
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    step = (number * 2 % _SHADES) / (_SHADES - 1)
    return (*colorsys.hsv_to_rgb(hue, min(1.0, saturation * (1.25 - 0.65 * step)), value * (0.72 + 0.28 * step)), 1.0)
