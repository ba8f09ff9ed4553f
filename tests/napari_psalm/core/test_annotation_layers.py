from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_psalm.core.annotation_layers import AnnotationLayer, FoundObject, Painted, new_annotation_layer
from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.image_planes import ImagePlane, visible_plane
from psalm.annotations import Annotations, Category
from psalm.errors import AnnotationError


@pytest.fixture
def plane() -> ImagePlane:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((20, 30)), name="cells", scale=(0.5, 0.5), translate=(3, 4))
    return visible_plane(viewer, layer)


@pytest.fixture
def layer(plane: ImagePlane) -> AnnotationLayer:
    return AnnotationLayer(Labels(np.zeros(plane.stack_shape, dtype=np.uint32)))


def _objects(*columns: int, width: int = 5, scores: tuple[float, ...] = ()) -> Annotations:
    masks = np.zeros((len(columns), 20, 30), dtype=bool)
    for mask, column in zip(masks, columns, strict=True):
        mask[5:10, column : column + width] = True
    scores = scores or (0.9,) * len(columns)
    return Annotations(masks, np.ones(len(columns)), np.array(scores), (Category(1, "cell"),), ("cell",) * len(columns))


def _painted(layer: AnnotationLayer, plane: ImagePlane, objects: Annotations, **kwargs: object) -> Painted:
    described = [FoundObject("cell", float(score), "cell", "instance") for score in objects.scores]
    return layer.paint(plane, objects.to_labels(), described, **kwargs)


def _paint(layer: AnnotationLayer, plane: ImagePlane, objects: Annotations, **kwargs: object) -> tuple[int, ...]:
    return _painted(layer, plane, objects, **kwargs).ids


def test_objects_get_ids_and_features(layer: AnnotationLayer, plane: ImagePlane) -> None:
    assert _paint(layer, plane, _objects(0, 10)) == (1, 2)
    assert (layer.layer.data[5:10, 10:15] == 2).all()
    assert layer.table.to_dict("list") == {
        "index": [1, 2],
        "class": ["cell", "cell"],
        "score": [0.9, 0.9],
        "prompt": ["cell", "cell"],
        "task": ["instance", "instance"],
        "origin": ["model", "model"],
        "area": [25, 25],
    }


def test_one_undo_takes_a_prediction_back_and_redo_brings_it(layer: AnnotationLayer, plane: ImagePlane) -> None:
    _paint(layer, plane, _objects(0))
    _paint(layer, plane, _objects(10, 20))
    assert list(layer.table["index"]) == [1, 2, 3]
    layer.layer.undo()
    assert np.unique(layer.layer.data).tolist() == [0, 1]
    assert list(layer.table["index"]) == [1]
    layer.layer.redo()
    assert list(layer.table["index"]) == [1, 2, 3]
    layer.layer.undo()
    layer.layer.undo()
    assert not layer.layer.data.any()
    assert len(layer.table) == 0


def test_what_is_there_is_never_overwritten(layer: AnnotationLayer, plane: ImagePlane) -> None:
    layer.layer.data_setitem((np.repeat(np.arange(5, 10), 5), np.tile(np.arange(5), 5)), 1)
    painted = _painted(layer, plane, _objects(1, 3, 10))
    assert painted.ids[0] == 0
    assert (painted.added, painted.covered) == (2, 1)
    assert (layer.layer.data[5:10, :5] == 1).all()
    assert (layer.layer.data[5:10, 6:8] == painted.ids[1]).all()


def test_of_overlapping_new_objects_the_better_wins(layer: AnnotationLayer, plane: ImagePlane) -> None:
    first, second = _paint(layer, plane, _objects(0, 2, scores=(0.5, 0.8)))
    assert layer.layer.data[5, :8].tolist() == [first, first, *[second] * 5, 0]


def test_replacing_takes_the_old_objects_in_the_same_step(layer: AnnotationLayer, plane: ImagePlane) -> None:
    _paint(layer, plane, _objects(0, 10))
    layer.layer.data_setitem((np.array([0]), np.array([0])), 50)
    ids = layer.ids_of_task("instance", plane)
    assert ids == {1, 2}
    assert _paint(layer, plane, _objects(1), replaced=ids) == (51,)
    assert np.unique(layer.layer.data).tolist() == [0, 50, 51]
    assert list(layer.table["index"]) == [50, 51]
    layer.layer.undo()
    assert list(layer.table["index"]) == [1, 2, 50]


def test_rows_and_columns_of_others_are_kept(plane: ImagePlane) -> None:
    data = np.zeros(plane.stack_shape, dtype=np.uint32)
    data[0, 0] = 4
    layer = AnnotationLayer(Labels(data, features={"index": [4], "class": ["dust"], "roundness": [1.0]}))
    assert _paint(layer, plane, _objects(10)) == (5,)
    assert list(layer.table["index"]) == [4, 5]
    assert layer.table["roundness"].iloc[0] == 1.0
    assert list(layer.table["class"]) == ["dust", "cell"]


def test_painting_one_slice_leaves_the_others(plane: ImagePlane) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((3, 20, 30)))
    viewer.dims.set_current_step(0, 1)
    stack = visible_plane(viewer, image)
    layer = AnnotationLayer(new_annotation_layer(viewer, stack))
    _paint(layer, stack, _objects(0))
    assert layer.layer.data.any(axis=(1, 2)).tolist() == [False, True, False]
    viewer.dims.set_current_step(0, 0)
    layer.layer.undo()
    assert len(layer.table) == 0


def test_a_class_can_be_given_and_colours_follow_it(layer: AnnotationLayer, plane: ImagePlane) -> None:
    _paint(layer, plane, _objects(0, 10))
    table = CategoryTable.from_text("cell\ndust")
    layer.layer.data_setitem((np.array([0]), np.array([0])), 9)
    layer.recolour(table)
    dust = layer.set_category(2, "dust")
    layer.set_category(9, "dust")
    layer.recolour(table)
    assert list(layer.table["class"]) == ["cell", "dust", "dust"]
    colours = layer.layer.colormap.color_dict
    assert None in colours
    assert not np.allclose(colours[1], colours[dust])
    with pytest.raises(AnnotationError, match="no object 77"):
        layer.set_category(77, "dust")


def test_a_layer_that_cannot_hold_the_objects_says_so(plane: ImagePlane) -> None:
    full = np.zeros(plane.stack_shape, dtype=np.uint8)
    full[0, 0] = 255
    with pytest.raises(AnnotationError, match="at most 255"):
        _paint(AnnotationLayer(Labels(full)), plane, _objects(10))
    import dask.array

    with pytest.raises(AnnotationError, match="New layer"):
        AnnotationLayer(Labels(dask.array.zeros((20, 30), dtype=np.uint8)))


def test_a_new_layer_lies_on_its_image(plane: ImagePlane) -> None:
    viewer = ViewerModel()
    viewer.add_layer(plane.layer)
    viewer.add_points([[1, 1]])
    labels = new_annotation_layer(viewer, plane)
    assert labels.data.dtype == np.uint32
    assert [layer.name for layer in viewer.layers][:2] == ["cells", "cells objects"]
    np.testing.assert_allclose(labels.data_to_world((4, 5)), plane.layer.data_to_world((4, 5)))
    assert labels.metadata["psalm"]["file_name"] == "cells.png"


def test_hand_painting_is_folded_into_the_objects_it_touched(layer: AnnotationLayer, plane: ImagePlane) -> None:
    first, second = _paint(layer, plane, _objects(0, 10))
    told: list[frozenset[int]] = []
    layer.changed.connect(told.append)
    layer.next_category = "dust"
    layer.layer.brush_size = 1
    layer.layer.paint((5, 5), first)
    layer.layer.paint((0, 29), 77)
    assert [layer.origin(i) for i in (first, second, 77)] == ["both", "model", "hand"]
    assert (layer.edited_pixels(first), layer.index.area(first)) == (1, 26)
    assert layer.facts(77).category == "dust"
    assert told == [frozenset({first}), frozenset({77})]
    layer.layer.undo()
    layer.layer.undo()
    assert layer.origin(first) == "model"
    assert list(layer.table["origin"]) == ["model", "model"]
    layer.layer.redo()
    assert list(layer.table["origin"]) == ["both", "model"]


def test_protected_objects_are_not_written(layer: AnnotationLayer, plane: ImagePlane) -> None:
    _paint(layer, plane, _objects(0))
    layer.protection = "This image is verified."
    with pytest.raises(AnnotationError, match="is verified"):
        _paint(layer, plane, _objects(10))
    with pytest.raises(AnnotationError, match="is verified"):
        layer.set_category(1, "dust")
    assert layer.ids == [1]


def test_another_array_is_taken_over(layer: AnnotationLayer, plane: ImagePlane) -> None:
    _paint(layer, plane, _objects(0))
    other = np.zeros_like(layer.layer.data)
    other[3, 3:6] = 8
    layer.layer.data = other
    assert layer.ids == [8]
    assert list(layer.table["area"]) == [3]


def test_changes_that_nobody_announced_are_found_on_request(layer: AnnotationLayer, plane: ImagePlane) -> None:
    _paint(layer, plane, _objects(0, 10))
    layer.layer.data[layer.layer.data == 2] = 0
    layer.look_again()
    assert list(layer.table["index"]) == [1]
