from __future__ import annotations

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.object_colours import object_colormap, object_colour
from napari_psalm.core.object_facts import FoundObject


def test_objects_of_a_class_share_its_hue_and_those_of_none_have_their_own() -> None:
    table = CategoryTable.from_text("cell")
    assert {object_colour(i, "cell", table) for i in range(1, 9)} == {table.colour_of("cell")}
    colours = {object_colour(i, "object", table) for i in range(1, 9)}
    assert len(colours) == 8
    assert all(max(colour) - min(colour) > 0.3 for colour in colours)  # none is grey


def test_many_objects_have_fewer_colours_than_napari_can_draw() -> None:
    objects = {i: FoundObject("object", 1.0, "", "") for i in range(1, 2000)}
    colours = object_colormap(objects, CategoryTable()).color_dict
    assert len({tuple(colour) for colour in colours.values()}) < 1024
