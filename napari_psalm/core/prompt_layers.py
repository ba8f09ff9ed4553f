"""Points, shapes and painted labels in the viewer become the regions of a visual prior."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.image_planes import ImagePlane
from psalm.conditions import RegionKind, VisualPriorCondition
from psalm.errors import ConditionError

if TYPE_CHECKING:
    from napari.layers import Labels, Points, Shapes

Painted = Literal["mask", "scribble"]


@dataclass(frozen=True)
class PromptLayers:
    """The layers that prompts are read from; `None` where there is none.

    Parameters
    ----------
    points : napari.layers.Points, optional
        Each point is a click on one object.
    shapes : napari.layers.Shapes, optional
        Rectangles are boxes, ellipses and polygons are masks, lines and paths are scribbles.
    labels : napari.layers.Labels, optional
        Each painted id is one region.
    painted : {"mask", "scribble"}
        Whether a painted id outlines its object or is a rough stroke on it.
    """

    points: Points | None = None
    shapes: Shapes | None = None
    labels: Labels | None = None
    painted: Painted = "mask"


@dataclass(frozen=True)
class Region:
    """One prompt: its mask (height, width), how it was drawn, and its name for people ("point 2")."""

    condition: VisualPriorCondition
    name: str


def read_regions(layers: PromptLayers, plane: ImagePlane) -> list[Region]:
    """Every prompt on the visible plane.

    Raises
    ------
    ConditionError
        When no layer is chosen, there is no prompt on this slice, or a prompt lies outside the image.
    """
    chosen = [layer for layer in (layers.points, layers.shapes, layers.labels) if layer is not None]
    if not chosen:
        raise ConditionError(
            "No prompt layer is chosen: press Points, Shapes or Paint to add one, then mark an object."
        )
    regions = [*_from_points(layers.points, plane), *_from_shapes(layers.shapes, plane)]
    regions += _from_labels(layers.labels, plane, layers.painted)
    if not regions:
        names = ", ".join(repr(layer.name) for layer in chosen)
        raise ConditionError(f"There is no prompt on this slice in {names}: click, draw or paint on an object first.")
    return regions


def _from_points(layer: Points | None, plane: ImagePlane) -> Iterator[Region]:
    if layer is None or len(layer.data) == 0:
        return
    points, here = plane.from_layer(layer, layer.data)
    for i in np.flatnonzero(here):
        name = f"point {i + 1}"
        _check_inside(points[[i]], plane, f"{name} of {layer.name!r}")
        yield Region(VisualPriorCondition.from_points(points[[i]], plane.shape), name)


def _from_shapes(layer: Shapes | None, plane: ImagePlane) -> Iterator[Region]:
    if layer is None:
        return
    for i, (vertices, kind) in enumerate(zip(layer.data, layer.shape_type, strict=True), start=1):
        corners, here = plane.from_layer(layer, vertices)
        if not here.all():
            continue
        name = f"{'box' if kind == 'rectangle' else kind} {i}"
        _check_inside(corners, plane, f"{name} of {layer.name!r}")
        yield Region(_shape_condition(corners, kind, plane.shape), name)


def _shape_condition(corners: NDArray[np.float64], kind: str, shape: tuple[int, int]) -> VisualPriorCondition:
    if kind in ("line", "path"):
        return VisualPriorCondition.from_scribbles([corners], shape)
    if kind == "rectangle" and _is_upright(corners):
        edges = corners + 0.5  # pixel centres are integers in napari, pixel edges are integers in a box
        return VisualPriorCondition.from_boxes([*edges.min(axis=0), *edges.max(axis=0)], shape)
    outline = _ellipse(corners) if kind == "ellipse" else corners
    return VisualPriorCondition(_fill(outline, shape)[None], ("mask",))


def _from_labels(layer: Labels | None, plane: ImagePlane, kind: RegionKind) -> Iterator[Region]:
    if layer is None:
        return
    values = plane.sample(layer)
    for label_id in np.unique(values[values != 0]).tolist():
        yield Region(VisualPriorCondition((values == label_id)[None], (kind,)), f"painted {label_id}")


def _check_inside(points: NDArray[np.float64], plane: ImagePlane, name: str) -> None:
    if not ((points.max(axis=0) >= -0.5).all() and (points.min(axis=0) <= np.asarray(plane.shape) - 0.5).all()):
        raise ConditionError(
            f"{name[0].upper()}{name[1:]} lies outside the image {plane.layer.name!r}: move it onto the image "
            "or delete it."
        )


def _is_upright(corners: NDArray[np.float64]) -> bool:
    sides = np.abs(np.diff(np.vstack([corners, corners[:1]]), axis=0))
    return bool((sides.min(axis=1) < 1e-3 * max(float(sides.max()), 1.0)).all())


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline of the ellipse that touches the sides of a rectangle with these four corners, in order."""
    centre = (corners[0] + corners[2]) / 2
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)[:, None]
    return centre + np.cos(angle) * across + np.sin(angle) * along


def _fill(outline: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a polygon; at least the pixel under its middle."""
    from skimage.draw import polygon2mask

    mask = np.asarray(polygon2mask(shape, outline), dtype=bool)
    if not mask.any():
        row, column = np.clip(np.rint(outline.mean(axis=0)).astype(int), 0, np.asarray(shape) - 1)
        mask[row, column] = True
    return mask
