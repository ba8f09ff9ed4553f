from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_psalm.core.block_means import block_means
from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.placing import place
from napari_psalm.core.views import reduced, visible_window
from psalm.errors import ImageError


def _look(layer: Image, centre: tuple[float, float], zoom: float, size: tuple[int, int] = (200, 300)) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(layer)
    viewer.canvas.size = size
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, *centre), zoom
    return viewer


def test_the_view_is_what_the_canvas_shows() -> None:
    data = np.arange(100 * 120).reshape(100, 120)
    layer = Image(data)
    viewer = _look(layer, (49.5, 59.5), 10)
    plane = visible_window(viewer, visible_plane(viewer, layer))
    assert plane.shape == (20, 30)
    np.testing.assert_array_equal(plane.read(), data[40:60, 45:75])
    inside, here = plane.from_layer(Points(ndim=2), [[40, 45], [50, 60]])
    np.testing.assert_allclose(inside, [[0, 0], [10, 15]])
    assert here.all()
    assert [int(axis[0]) for axis in plane.indices(np.array([1]), np.array([2]))] == [41, 47]


def test_scale_and_place_of_the_layer_count() -> None:
    layer = Image(np.zeros((3, 100, 120)), scale=(4, 0.5, 0.5), translate=(0, 7, 9))
    viewer = _look(layer, (7, 9), 20)
    viewer.dims.set_current_step(0, 2)
    plane = visible_window(viewer, visible_plane(viewer, layer))
    assert plane.window == (slice(0, 11), slice(0, 16))
    assert plane.slicer == (2, slice(0, 11), slice(0, 16))


def test_rolled_axes_have_a_view_too() -> None:
    data = np.arange(40 * 50 * 60).reshape(40, 50, 60)
    layer = Image(data)
    viewer = _look(layer, (0, 0), 1, (200, 280))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_current_step(1, 3)
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 29.5, 19.5), 20
    plane = visible_window(viewer, visible_plane(viewer, layer))
    assert plane.shape == (10, 14)
    np.testing.assert_array_equal(plane.read(), data[:, 3, :].T[25:35, 13:27])
    shown = Labels(np.zeros(plane.window_shape, dtype=np.uint8), **plane.window_placement())
    assert shown.data.shape == (14, 1, 10)
    np.testing.assert_allclose(shown.data_to_world((0, 0, 0)), layer.data_to_world((13, 3, 25)))


def test_an_image_out_of_view_says_so() -> None:
    layer = Image(np.zeros((20, 20)))
    viewer = _look(layer, (500, 500), 10)
    with pytest.raises(ImageError, match="out of view"):
        visible_window(viewer, visible_plane(viewer, layer))


def test_a_large_image_is_read_as_means_of_blocks() -> None:
    data = np.random.default_rng(0).integers(0, 255, (90, 70, 3), dtype=np.uint8)
    layer = Image(data, rgb=True)
    plane = visible_plane(_look(layer, (0, 0), 1), layer)
    fewer = reduced(plane, longest=30)
    assert fewer.shape == (30, 24)
    np.testing.assert_array_equal(fewer.read()[0, 0], np.rint(data[:3, :3].mean(axis=(0, 1))))
    assert reduced(plane, longest=60) is plane
    points, _ = fewer.from_layer(Points(ndim=2), [[1, 1], [4, 4]])
    np.testing.assert_allclose(points, [[0, 0], [1, 1]])


def test_a_pyramid_is_read_at_a_coarser_level() -> None:
    levels = [np.zeros((64, 96)), np.ones((32, 48)), np.full((16, 24), 2.0)]
    layer = Image(levels, multiscale=True)
    plane = visible_plane(_look(layer, (0, 0), 1), layer)
    assert plane.shape == (64, 96)
    fewer = reduced(plane, longest=40)
    assert (fewer.shape, float(fewer.read().max())) == ((32, 48), 1.0)
    window = reduced(plane.within(slice(10, 50), slice(20, 90)), longest=17)
    assert float(window.read().max()) == 2.0
    assert window.window == (slice(2, 13), slice(5, 23))


@pytest.mark.parametrize("shape", [(7, 10), (6, 9), (1, 1), (5, 4, 3)])
def test_block_means_count_the_pixels_that_are_there(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).random(shape)
    means = block_means(pixels, 3)
    assert means.shape[:2] == (-(-shape[0] // 3), -(-shape[1] // 3))
    last = pixels[(shape[0] - 1) // 3 * 3 :, (shape[1] - 1) // 3 * 3 :]
    np.testing.assert_allclose(means[-1, -1], last.mean(axis=(0, 1)), rtol=1e-5)


def _plane(shape: tuple[int, int]) -> ImagePlane:
    layer = Image(np.zeros(shape))
    return visible_plane(_look(layer, (0, 0), 1), layer)


def test_objects_land_where_they_were_seen() -> None:
    plane = _plane((90, 60)).within(slice(30, 90), slice(0, 60))
    seen = reduced(plane, longest=20)
    labels = np.zeros(seen.shape, dtype=np.uint32)
    labels[2:4, 5:7] = 1
    target, pixels = place(labels, seen, plane)
    assert target.window == (slice(36, 42), slice(15, 21))
    assert pixels.all()
    everywhere, pixels = place(labels, seen, plane, everywhere=True)
    assert everywhere.window == plane.window
    assert int(pixels.sum()) == 36


def test_on_the_same_grid_only_the_box_is_copied() -> None:
    plane = _plane((20, 30))
    labels = np.zeros((20, 30), dtype=np.uint32)
    labels[3, 4] = labels[8, 9] = 1
    target, pixels = place(labels, plane, plane)
    assert target.window == (slice(3, 9), slice(4, 10))
    np.testing.assert_array_equal(pixels, labels[3:9, 4:10])
