from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.prompt_layers import PromptLayers, read_regions
from psalm.errors import ConditionError


@pytest.fixture
def plane() -> ImagePlane:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((40, 60)), scale=(0.5, 0.5), translate=(3, 4))
    return visible_plane(viewer, layer)


def _on(plane: ImagePlane) -> dict[str, object]:
    return {"scale": plane.layer.scale, "translate": plane.layer.translate}


def test_each_point_is_a_disc_around_its_pixel(plane: ImagePlane) -> None:
    regions = read_regions(PromptLayers(points=Points([[20, 30], [5, 5]], **_on(plane))), plane).regions
    assert [region.name for region in regions] == ["point 1", "point 2"]
    rows, columns = np.nonzero(regions[0].condition.masks[0])
    assert (rows.mean(), columns.mean()) == (20, 30)
    assert regions[0].condition.kinds == ("point",)


def test_points_in_world_units_find_their_pixel(plane: ImagePlane) -> None:
    world = plane.layer.data_to_world((20, 30))
    regions = read_regions(PromptLayers(points=Points([world])), plane).regions
    rows, columns = np.nonzero(regions[0].condition.masks[0])
    assert (rows.mean(), columns.mean()) == (20, 30)


def test_a_rectangle_over_three_pixels_is_a_box_of_three_pixels(plane: ImagePlane) -> None:
    corners = [[-0.5, 3.5], [-0.5, 6.5], [2.5, 6.5], [2.5, 3.5]]
    region = read_regions(PromptLayers(shapes=Shapes([corners], shape_type="rectangle", **_on(plane))), plane).regions[
        0
    ]
    expected = np.zeros((40, 60), dtype=bool)
    expected[0:3, 4:7] = True
    np.testing.assert_array_equal(region.condition.masks[0], expected)
    assert region.condition.kinds == ("box",)


def test_other_shapes_are_outlines_or_scribbles(plane: ImagePlane) -> None:
    square = np.array([[4.5, 4.5], [4.5, 24.5], [24.5, 24.5], [24.5, 4.5]])
    layer = Shapes(ndim=2, **_on(plane))
    for kind, data in (("ellipse", square), ("polygon", square), ("line", square[:2]), ("path", square[:3])):
        layer.add(data, shape_type=kind)
    regions = read_regions(PromptLayers(shapes=layer), plane).regions
    assert [region.condition.kinds[0] for region in regions] == ["mask", "mask", "scribble", "scribble"]
    ellipse, polygon, line, _ = (region.condition.masks[0] for region in regions)
    assert ellipse.sum() == pytest.approx(np.pi * 100, rel=0.05)
    assert polygon.sum() == 400
    assert line[5, 15]
    assert not line[15, 15]


def test_a_turned_rectangle_is_an_outline(plane: ImagePlane) -> None:
    diamond = np.array([[20, 20], [30, 30], [20, 40], [10, 30]])
    layer = Shapes([diamond], shape_type="rectangle", **_on(plane))
    region = read_regions(PromptLayers(shapes=layer), plane).regions[0]
    assert region.condition.kinds == ("mask",)
    assert region.condition.masks.sum() == pytest.approx(200, rel=0.12)


@pytest.mark.parametrize("painted", ["mask", "scribble"])
def test_each_painted_id_is_a_region(plane: ImagePlane, painted: str) -> None:
    data = np.zeros((40, 60), dtype=np.uint8)
    data[2:5, 2:5], data[20:30, 30:40] = 3, 7
    regions = read_regions(PromptLayers(labels=Labels(data, **_on(plane)), painted=painted), plane).regions
    assert [region.name for region in regions] == ["painted 3", "painted 7"]
    np.testing.assert_array_equal(regions[1].condition.masks[0], data == 7)
    assert regions[0].condition.kinds == (painted,)


def test_points_of_other_slices_are_left_out() -> None:
    viewer = ViewerModel()
    layer = viewer.add_layer(Image(np.zeros((3, 40, 60))))
    viewer.dims.set_current_step(0, 1)
    points = Points([[0, 5, 5], [1, 20, 20], [2, 5, 5]])
    regions = read_regions(PromptLayers(points=points), visible_plane(viewer, layer)).regions
    assert [region.name for region in regions] == ["point 2"]


def test_what_is_missing_is_said(plane: ImagePlane) -> None:
    with pytest.raises(ConditionError, match="press Points"):
        read_regions(PromptLayers(), plane)
    with pytest.raises(ConditionError, match="no prompt on this slice in 'clicks'"):
        read_regions(PromptLayers(points=Points(ndim=2, name="clicks")), plane)
    with pytest.raises(ConditionError, match="Point 1 of 'clicks' lies outside"):
        read_regions(PromptLayers(points=Points([[300, 5]], name="clicks", **_on(plane))), plane)
