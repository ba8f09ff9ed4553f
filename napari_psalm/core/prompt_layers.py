"""Points, shapes and painted labels in the viewer become the regions of a visual prior, and exclusions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.image_planes import ImagePlane
from napari_psalm.core.prompt_marks import is_ours, read_marks
from psalm.conditions import RegionKind, VisualPriorCondition
from psalm.errors import ConditionError

if TYPE_CHECKING:
    from napari.layers import Labels, Layer, Points, Shapes

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

    @property
    def chosen(self) -> list[Layer]:
        """The layers that there are."""
        return [layer for layer in (self.points, self.shapes, self.labels) if layer is not None]


@dataclass(frozen=True)
class Mark:
    """One thing drawn: its mask (height, width), its kind and name, the layer and its index or id there.

    Parameters
    ----------
    mask : (H, W) array of bool
    kind : RegionKind
    name : str
        For people ("point 2").
    source : (Layer, int)
        The layer, and the index of the point or shape, or the painted id.
    number : int
        Marks with the same number belong to one object; 0 is an object of its own.
    exclude : bool
        Whether it shows what does not belong to an object.
    """

    mask: NDArray[np.bool_]
    kind: RegionKind
    name: str
    source: tuple[Layer, int]
    number: int = 0
    exclude: bool = False


@dataclass(frozen=True)
class Region:
    """The prompt for one object: its condition, and the marks it is made of."""

    condition: VisualPriorCondition
    marks: tuple[Mark, ...]

    @property
    def name(self) -> str:
        """How people call it ("point 2 + box 1")."""
        return " + ".join(mark.name for mark in self.marks)


@dataclass(frozen=True)
class Prompts:
    """What is drawn on a plane: a region per object, and exclusions."""

    regions: tuple[Region, ...] = ()
    exclusions: tuple[Mark, ...] = ()


def read_prompts(layers: PromptLayers, plane: ImagePlane) -> Prompts:
    """Every prompt on a plane; those in another slice, or out of its window, are left out.

    Raises
    ------
    ConditionError
        When a prompt lies outside the image.
    """
    marks = [*_from_points(layers.points, plane), *_from_shapes(layers.shapes, plane)]
    marks += _from_labels(layers.labels, plane, layers.painted)
    groups: dict[Any, list[Mark]] = {}
    for i, mark in enumerate(marks):
        if not mark.exclude:
            groups.setdefault(mark.number or -1 - i, []).append(mark)
    regions = tuple(Region(_join(group), tuple(group)) for group in groups.values())
    return Prompts(regions, tuple(mark for mark in marks if mark.exclude))


def read_regions(layers: PromptLayers, plane: ImagePlane) -> Prompts:
    """As `read_prompts`, for a question that needs a region.

    Raises
    ------
    ConditionError
        When no layer is chosen, there is no prompt here, or a prompt lies outside the image.
    """
    if not layers.chosen:
        raise ConditionError(
            "No prompt layer is chosen: press Points, Shapes or Paint to add one, then mark an object."
        )
    prompts = read_prompts(layers, plane)
    if not prompts.regions:
        names = ", ".join(repr(layer.name) for layer in layers.chosen)
        where = "in this view" if plane.window else "on this slice"
        raise ConditionError(f"There is no prompt {where} in {names}: click, draw or paint on an object first.")
    return prompts


def _join(marks: Sequence[Mark]) -> VisualPriorCondition:
    """One region of all marks of an object; several points are a scribble, since a point is one place."""
    kinds = {mark.kind for mark in marks}
    kind = next((kind for kind in ("mask", "box", "scribble") if kind in kinds), "point")
    if kind == "point" and len(marks) > 1:
        kind = "scribble"
    mask = np.logical_or.reduce([mark.mask for mark in marks])
    return VisualPriorCondition(mask[None], (kind,))  # type: ignore[arg-type]


def _from_points(layer: Points | None, plane: ImagePlane) -> Iterator[Mark]:
    if layer is None or len(layer.data) == 0:
        return
    points, here = plane.from_layer(layer, layer.data)
    radius = _radius(plane, 10)
    numbers, excluded = read_marks(layer)
    for i in np.flatnonzero(here).tolist():
        name = f"point {i + 1}"
        if _is_inside(points[[i]], plane, f"{name} of {layer.name!r}"):
            mask = VisualPriorCondition.from_points(points[[i]], plane.shape, radius).masks[0]
            yield Mark(mask, "point", name, (layer, i), int(numbers[i]), bool(excluded[i]))


def _from_shapes(layer: Shapes | None, plane: ImagePlane) -> Iterator[Mark]:
    if layer is None:
        return
    numbers, excluded = read_marks(layer)
    for i, (vertices, kind) in enumerate(zip(layer.data, layer.shape_type, strict=True)):
        corners, here = plane.from_layer(layer, vertices)
        if not here.all():
            continue
        name = f"{'box' if kind == 'rectangle' else kind} {i + 1}"
        if _is_inside(corners, plane, f"{name} of {layer.name!r}"):
            region = _shape_condition(corners, kind, plane)
            number, exclude = int(numbers[i]), bool(excluded[i])
            yield Mark(region.masks[0], region.kinds[0], name, (layer, i), number, exclude)


def _shape_condition(corners: NDArray[np.float64], kind: str, plane: ImagePlane) -> VisualPriorCondition:
    shape = plane.shape
    if kind in ("line", "path"):
        return VisualPriorCondition.from_scribbles([corners], shape, _radius(plane, 5))
    if kind == "rectangle" and _is_upright(corners):
        edges = corners + 0.5  # pixel centres are integers in napari, pixel edges are integers in a box
        box = _visible_box(np.stack([edges.min(axis=0), edges.max(axis=0)]), shape)
        return VisualPriorCondition.from_boxes(box.ravel(), shape)
    outline = _ellipse(corners) if kind == "ellipse" else corners
    return VisualPriorCondition(_fill(outline, shape)[None], ("mask",))


def _from_labels(layer: Labels | None, plane: ImagePlane, kind: RegionKind) -> Iterator[Mark]:
    if layer is None:
        return
    values = plane.sample(layer)
    ours = is_ours(layer)
    for label_id in np.unique(values[values != 0]).tolist():
        name = f"painted {label_id}"
        yield Mark(values == label_id, kind, name, (layer, label_id), label_id if ours else 0)


def _is_inside(points: NDArray[np.float64], plane: ImagePlane, name: str) -> bool:
    """Whether something drawn meets the plane; out of a window it may lie, out of the image it may not."""
    if (points.max(axis=0) >= -0.5).all() and (points.min(axis=0) <= np.asarray(plane.shape) - 0.5).all():
        return True
    if plane.window is not None:
        return False
    raise ConditionError(
        f"{name[0].upper()}{name[1:]} lies outside the image {plane.layer.name!r}: move it onto the image or delete it."
    )


def _radius(plane: ImagePlane, pixels: float) -> float:
    """The published radius, which is meant for images of a thousand pixels; less where the model sees few."""
    return min(pixels, max(max(plane.shape) / 600 * pixels, 1.0))


def _visible_box(edges: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Edges (2, 2) of a box that is at least one pixel of the image."""
    limit = np.asarray(shape, dtype=np.float64)
    low = np.clip(np.rint(edges[0]), 0, limit - 1)
    return np.stack([low, np.clip(np.rint(edges[1]), low + 1, limit)])


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
