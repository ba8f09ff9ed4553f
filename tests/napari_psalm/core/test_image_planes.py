from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_psalm.core import image_planes
from napari_psalm.core.image_planes import visible_plane
from psalm.errors import ImageError


def _show(layer: Image) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(layer)
    return viewer


def test_the_plane_of_a_colour_image_keeps_its_colours() -> None:
    data = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    layer = Image(data, rgb=True)
    plane = visible_plane(_show(layer), layer)
    assert plane.shape == (8, 9)
    assert plane.stack_shape == (8, 9)
    np.testing.assert_array_equal(plane.read(), data)


def test_the_slider_chooses_the_slice_of_a_stack() -> None:
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    layer = Image(data, scale=(2, 0.5, 0.5))
    viewer = _show(layer)
    viewer.dims.set_current_step(0, 2)
    plane = visible_plane(viewer, layer)
    np.testing.assert_array_equal(plane.read(), data[2])
    assert [int(axis[0]) for axis in plane.indices(np.array([1]), np.array([3]))] == [2, 1, 3]


def test_rolled_axes_give_the_plane_that_is_shown() -> None:
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    layer = Image(data)
    viewer = _show(layer)
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_current_step(1, 3)
    plane = visible_plane(viewer, layer)
    np.testing.assert_array_equal(plane.read(), data[:, 3, :].T)
    rows, columns = np.array([2]), np.array([1])
    assert data[plane.indices(rows, columns)] == plane.read()[2, 1]


def test_a_lazy_image_is_computed_only_by_read() -> None:
    import dask.array

    computed = []

    def block(block_info: object = None) -> np.ndarray:
        computed.append(1)
        return np.ones((1, 6, 7))

    data = dask.array.map_blocks(block, chunks=((1, 1), (6,), (7,)), dtype=float, meta=np.empty((0, 0, 0)))
    layer = Image(data, contrast_limits=(0, 1))
    viewer = _show(layer)
    before = len(computed)
    plane = visible_plane(viewer, layer)
    assert len(computed) == before
    assert plane.read().shape == (6, 7)


def test_of_a_pyramid_the_finest_level_that_is_not_too_large_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_planes, "LARGEST_STACK", 20 * 20)
    levels = [np.zeros((64, 64)), np.zeros((32, 32)), np.ones((16, 16))]
    layer = Image(levels, multiscale=True, scale=(2, 2), translate=(10, 0))
    viewer = _show(layer)
    plane = visible_plane(viewer, layer)
    assert plane.shape == (16, 16)
    assert plane.read().all()
    labels = Labels(np.zeros(plane.stack_shape, dtype=np.uint8), **plane.placement())
    np.testing.assert_allclose(labels.data_to_world((0, 0)), layer.data_to_world((1.5, 1.5)))
    points = Points([[1.5, 1.5], [61.5, 61.5]], scale=layer.scale, translate=layer.translate)
    found, here = plane.from_layer(points, points.data)
    np.testing.assert_allclose(found, [[0, 0], [15, 15]])
    assert here.all()


def test_coordinates_go_through_the_world() -> None:
    layer = Image(np.zeros((3, 20, 30)), scale=(5, 2, 2), translate=(0, 10, -4), rotate=30)
    viewer = _show(layer)
    viewer.dims.set_current_step(0, 1)
    plane = visible_plane(viewer, layer)
    points = Points(ndim=3, scale=(1, 1, 1))
    world = [layer.data_to_world((1, 4, 7)), layer.data_to_world((2, 4, 7))]
    found, here = plane.from_layer(points, world)
    np.testing.assert_allclose(found[0], [4, 7], atol=1e-9)
    assert here.tolist() == [True, False]
    np.testing.assert_allclose(plane.placement()["scale"], layer.scale)


def test_a_flat_prompt_layer_belongs_to_every_slice() -> None:
    layer = Image(np.zeros((3, 20, 30)))
    viewer = _show(layer)
    viewer.dims.set_current_step(0, 2)
    found, here = visible_plane(viewer, layer).from_layer(Points(ndim=2), [[4, 5]])
    np.testing.assert_allclose(found, [[4, 5]])
    assert here.all()


def test_sampling_a_labels_layer_on_another_grid() -> None:
    layer = Image(np.zeros((8, 8)))
    coarse = Labels(np.array([[1, 0], [0, 2]], dtype=np.uint8), scale=(4, 4), translate=(1.5, 1.5))
    values = visible_plane(_show(layer), layer).sample(coarse)
    assert (values[:4, :4] == 1).all()
    assert (values[4:, 4:] == 2).all()
    assert values[0, 7] == values[7, 0] == 0


@pytest.mark.parametrize(
    ("prepare", "cure"),
    [
        (lambda viewer, layer: None, "Open Sample"),
        (lambda viewer, layer: setattr(viewer.dims, "ndisplay", 3) or layer, "2-D"),
        (lambda viewer, layer: viewer.dims.set_point(0, 50) or layer, "move it back"),
    ],
)
def test_what_cannot_be_segmented_says_what_to_do(prepare: object, cure: str) -> None:
    layer = Image(np.zeros((3, 8, 8)))
    viewer = _show(layer)
    viewer.add_image(np.zeros((90, 8, 8)))
    with pytest.raises(ImageError, match=cure):
        visible_plane(viewer, prepare(viewer, layer))


def test_dask_is_read_past_the_cache_that_only_the_thread_of_the_window_may_use() -> None:
    import dask.array
    from dask.callbacks import Callback

    data = np.arange(2 * 6 * 7).reshape(2, 6, 7)
    layer = Image(dask.array.from_array(data, chunks=(1, 6, 7)))
    plane = visible_plane(_show(layer), layer)
    seen: list[object] = []
    with Callback(posttask=lambda key, *_: seen.append(key)):
        np.testing.assert_array_equal(plane.read(), data[0])
        assert not seen
        np.asarray(layer.data)
        assert seen
