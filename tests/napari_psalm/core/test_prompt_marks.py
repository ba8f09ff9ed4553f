from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Points, Shapes

from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.prompt_layers import PromptLayers, read_prompts
from napari_psalm.core.prompt_marks import EXCLUDE, OBJECT, PromptMarks

BOX = np.array([[2, 2], [2, 9], [9, 9], [9, 2]])


def _plane() -> ImagePlane:
    viewer = ViewerModel()
    return visible_plane(viewer, viewer.add_image(np.zeros((40, 60))))


def _layers(marks: PromptMarks) -> tuple[Points, Shapes, Labels]:
    points, shapes, painted = Points(ndim=2), Shapes(ndim=2), Labels(np.zeros((40, 60), dtype=np.uint16))
    for layer in (points, shapes, painted):
        marks.adopt(layer)
    marks.follow([points, shapes, painted])
    return points, shapes, painted


def test_each_prompt_marks_an_object_of_its_own() -> None:
    marks = PromptMarks()
    points, shapes, painted = _layers(marks)
    points.add([5, 5])
    points.add([5, 25])
    shapes.add(BOX, shape_type="rectangle")
    assert points.features[OBJECT].tolist() == [1, 2]
    assert shapes.features[OBJECT].tolist() == [3]
    assert painted.selected_label == 4
    assert len({tuple(colour) for colour in points.face_color}) == 2
    prompts = read_prompts(PromptLayers(points, shapes, painted), _plane())
    assert [region.name for region in prompts.regions] == ["point 1", "point 2", "box 1"]


def test_prompts_of_one_object_become_one_region_until_the_next() -> None:
    marks = PromptMarks()
    marks.separate = False
    points, shapes, painted = _layers(marks)
    points.add([5, 5])
    points.add([5, 25])
    shapes.add(BOX, shape_type="rectangle")
    marks.next_object()
    points.add([30, 50])
    painted.data_setitem((np.array([20]), np.array([20])), painted.selected_label)
    prompts = read_prompts(PromptLayers(points, shapes, painted), _plane())
    assert [region.name for region in prompts.regions] == ["point 1 + point 2 + box 1", "point 3 + painted 2"]
    first, second = (region.condition for region in prompts.regions)
    assert (first.kinds, second.kinds) == (("box",), ("mask",))
    assert first.masks[0][5, 5] and first.masks[0][5, 25] and not first.masks[0][30, 50]


def test_several_points_on_one_object_are_a_scribble() -> None:
    marks = PromptMarks()
    marks.separate = False
    points, *_ = _layers(marks)
    points.add([5, 5])
    points.add([5, 25])
    prompts = read_prompts(PromptLayers(points), _plane())
    assert [region.condition.kinds for region in prompts.regions] == [("scribble",)]


def test_an_exclusion_is_no_region() -> None:
    marks = PromptMarks()
    points, shapes, _ = _layers(marks)
    points.add([5, 5])
    marks.excluding = True
    points.add([5, 25])
    shapes.add(BOX + 20, shape_type="rectangle")
    assert points.features[EXCLUDE].tolist() == [False, True]
    assert str(points.symbol[1]) == "cross"
    prompts = read_prompts(PromptLayers(points, shapes), _plane())
    assert [region.name for region in prompts.regions] == ["point 1"]
    assert [mark.name for mark in prompts.exclusions] == ["point 2", "box 1"]
    assert marks.number == 2


def test_prompts_are_cleared_from_our_layers_only() -> None:
    marks = PromptMarks()
    points, shapes, painted = _layers(marks)
    own = Points([[1, 1], [2, 2]])
    points.add([[5, 5], [6, 6], [7, 7]])
    shapes.add(BOX, shape_type="rectangle")
    painted.data[3, 3], painted.data[4, 4] = 8, 9
    drawn: list[int] = []
    marks.drawn.connect(lambda: drawn.append(1))
    marks.clear([(points, 0), (points, 2), (shapes, 0), (painted, 8), (own, 0)])
    np.testing.assert_array_equal(points.data, [[6, 6]])
    assert (len(shapes.data), len(own.data)) == (0, 2)
    assert (painted.data[3, 3], painted.data[4, 4]) == (0, 9)
    assert drawn == []


def test_what_is_drawn_moved_or_removed_is_told_until_it_is_not_followed() -> None:
    marks = PromptMarks()
    points, *_ = _layers(marks)
    drawn: list[int] = []
    marks.drawn.connect(lambda: drawn.append(1))
    points.add([5, 5])
    points.data = points.data + 1
    points.remove([0])
    assert len(drawn) == 3
    marks.follow([])
    points.add([5, 5])
    assert len(drawn) == 3


def test_points_of_the_users_own_layer_stay_as_they_are() -> None:
    marks = PromptMarks()
    own = Points([[1, 1]], face_color="white")
    marks.follow([own])
    own.add([5, 5])
    assert OBJECT not in own.features
    prompts = read_prompts(PromptLayers(own), _plane())
    assert len(prompts.regions) == 2


def test_numbers_of_a_users_layer_group_its_points() -> None:
    own = Points([[1, 1], [5, 5], [9, 9]], features={OBJECT: [7, 7, 8]})
    assert len(read_prompts(PromptLayers(own), _plane()).regions) == 2
