"""Visual priors as people draw them: clicks, scribbles, boxes and rough masks of known objects (PSALM, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from psalm.conditions import RegionKind, VisualPriorCondition
from psalm.data.careful_prompts import careful_prompt, true_box

KINDS: tuple[RegionKind, ...] = ("point", "scribble", "box", "mask")


def simulate_priors(
    masks: NDArray[np.bool_],
    rng: np.random.Generator,
    kinds: Sequence[RegionKind] | None = None,
    point_radius: float = 10.0,
    scribble_radius: float = 5.0,
    careful: float = 0.5,
) -> VisualPriorCondition:
    """One region per object.

    Parameters
    ----------
    masks : (N, H, W) array of bool
        The objects, none empty.
    rng : numpy.random.Generator
    kinds : sequence of {"point", "scribble", "box", "mask"}, optional
        How to draw each region; by chance when not given.
    point_radius, scribble_radius : float
        Radius of a click and half width of a scribble in pixels.
    careful : float
        Share of the regions that are drawn with care (see `psalm.data.careful_prompts`), the others in haste.

    Raises
    ------
    ConditionError
        When there is no object or an object has no pixel.
    """
    kinds = tuple(kinds) if kinds is not None else tuple(KINDS[i] for i in rng.integers(len(KINDS), size=len(masks)))
    regions = np.zeros(masks.shape, dtype=bool)
    for region, mask, kind in zip(regions, masks, kinds, strict=True):
        radius = scribble_radius if kind == "scribble" else point_radius
        if mask.any() and rng.random() < careful:
            region |= careful_prompt(mask, kind, radius).masks[0]
        elif mask.any():
            _draw(region, mask, kind, rng, radius)
    return VisualPriorCondition(regions, kinds)


def simulate_exclusions(
    asked: NDArray[np.bool_], others: NDArray[np.bool_], rng: np.random.Generator, radius: float = 10.0
) -> NDArray[np.bool_] | None:
    """One to three clicks (E, H, W) on nothing that is asked for: on other objects, or on the ground close by.

    Parameters
    ----------
    asked : (N, H, W) array of bool
        The objects that are asked for.
    others : (M, H, W) array of bool
        Objects beside them.
    rng : numpy.random.Generator
    radius : float
        Of a click, in pixels.

    Returns
    -------
    (E, H, W) array of bool, or None
        None where chance finds no such place.
    """
    taken: NDArray[np.bool_] = np.logical_or.reduce(asked)
    clicks = []
    for _ in range(int(rng.integers(1, 4))):
        on_another = len(others) > 0 and rng.random() < 0.7
        one: NDArray[np.bool_] = rng.choice(others if on_another else asked)
        allowed = one & ~taken if on_another else _beside(one, taken)
        if allowed.any():
            disc = VisualPriorCondition.from_points([click(allowed, rng)], taken.shape, radius).masks[0]
            clicks.append(disc & ~taken)
    return np.stack(clicks) if clicks else None


def _beside(mask: NDArray[np.bool_], taken: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is free within half an object's size of its box."""
    free = np.zeros_like(taken)
    if mask.any():
        r0, c0, r1, c1 = true_box(mask)
        rows, columns = (r1 - r0) // 2 + 1, (c1 - c0) // 2 + 1
        around = slice(max(r0 - rows, 0), r1 + rows), slice(max(c0 - columns, 0), c1 + columns)
        free[around] = ~taken[around]
    return free


def click(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """A pixel (row, column) of the object, more often near its middle than near its edge."""
    r0, c0, r1, c1 = true_box(mask)
    inside = mask[r0:r1, c0:c1]
    rows, columns = np.nonzero(inside)
    depth = _depth(inside)[rows, columns]
    weights = depth ** rng.choice([0.0, 2.0, 4.0], p=[0.2, 0.4, 0.4])
    chosen = np.searchsorted(np.cumsum(weights), rng.random() * weights.sum())
    chosen = min(int(chosen), len(rows) - 1)
    return r0 + int(rows[chosen]), c0 + int(columns[chosen])


def scribble(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """A wavy line (M, 2) of (row, column) vertices along the object's long axis, each vertex on the object."""
    r0, c0, r1, c1 = true_box(mask)
    inside = mask[r0:r1, c0:c1]
    pixels = np.argwhere(inside).astype(np.float64)
    if len(pixels) < 12:
        return pixels[[0, -1]] + (r0, c0)
    centred = pixels - pixels.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    along, across = centred @ axes[:, 1], centred @ axes[:, 0]
    start, stop = np.quantile(along, [rng.uniform(0.03, 0.3), rng.uniform(0.7, 0.97)])
    stations = np.linspace(start, stop, 9)
    wave = rng.uniform(0.0, 0.5) * np.sin(np.linspace(0, rng.uniform(2, 9), 9) + rng.uniform(0, 6))
    half = max((stop - start) / 16, 1.0)
    line = [_crossing(pixels, along, across, at, half, wobble) for at, wobble in zip(stations, wave, strict=True)]
    vertices = np.array([vertex for vertex in line if vertex is not None])
    if len(vertices) < 2:
        vertices = pixels[[0, -1]]
    return vertices + (r0, c0)


def jittered_box(mask: NDArray[np.bool_], rng: np.random.Generator, jitter: float = 0.1) -> tuple[int, int, int, int]:
    """The object's (row0, column0, row1, column1), each edge off by up to `jitter` of the side, inside the image."""
    r0, c0, r1, c1 = true_box(mask)
    amount = rng.choice([0.0, jitter / 3, jitter])
    dr0, dr1 = rng.uniform(-amount, amount, 2) * (r1 - r0)
    dc0, dc1 = rng.uniform(-amount, amount, 2) * (c1 - c0)
    top, left = max(round(r0 + dr0), 0), max(round(c0 + dc0), 0)
    bottom, right = min(round(r1 + dr1), mask.shape[0]), min(round(c1 + dc1), mask.shape[1])
    return top, left, max(bottom, top + 1), max(right, left + 1)


def rough_mask(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The object as painted in haste: (H, W), shrunk, grown or rounded off."""
    spread = rng.uniform(0.02, 0.12) * np.sqrt(mask.sum())
    level = rng.choice([64, 128, 176])
    pad = int(3 * spread) + 2
    r0, c0, r1, c1 = true_box(mask)
    window = slice(max(r0 - pad, 0), r1 + pad), slice(max(c0 - pad, 0), c1 + pad)
    blurred = Image.fromarray(mask[window].astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(float(spread)))
    rough = np.asarray(blurred) > level
    if not (rough & mask[window]).any():
        return mask.copy()
    result = np.zeros_like(mask)
    result[window] = rough
    return result


def _draw(
    region: NDArray[np.bool_], mask: NDArray[np.bool_], kind: RegionKind, rng: np.random.Generator, radius: float
) -> None:
    if kind == "point":
        region |= VisualPriorCondition.from_points([click(mask, rng)], region.shape, radius).masks[0]
    elif kind == "scribble":
        _stroke(region, scribble(mask, rng), radius)
    elif kind == "box":
        r0, c0, r1, c1 = jittered_box(mask, rng)
        region[r0:r1, c0:c1] = True
    else:
        region |= rough_mask(mask, rng)


def _stroke(region: NDArray[np.bool_], line: NDArray[np.float64], radius: float) -> None:
    """Draw a polyline of (row, column) vertices with round ends; a drawing library is faster than discs per pixel."""
    canvas = Image.new("L", (region.shape[1], region.shape[0]))
    pen = ImageDraw.Draw(canvas)
    points = [(float(column), float(row)) for row, column in line]
    pen.line(points, fill=255, width=max(round(2 * radius), 1), joint="curve")
    for column, row in points:
        pen.ellipse((column - radius, row - radius, column + radius, row + radius), fill=255)
    region |= np.asarray(canvas) > 0


def _crossing(
    pixels: NDArray[np.float64],
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    at: float,
    half: float,
    wobble: float,
) -> NDArray[np.float64] | None:
    """A pixel of the object in the slice at `at` of its long axis, `wobble` of the half width off its middle."""
    near = np.flatnonzero(np.abs(along - at) <= half)
    if not near.size:
        return None
    spread = across[near]
    wanted = np.median(spread) + wobble * (spread.max() - spread.min()) / 2
    return pixels[near[np.abs(spread - wanted).argmin()]]


def _depth(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the edge, coarse for large objects: a click needs no more and it is many times faster."""
    step = max(max(inside.shape) // 64, 1)
    coarse = ndimage.distance_transform_edt(np.pad(inside[::step, ::step], 1))[1:-1, 1:-1]
    depth = np.repeat(np.repeat(coarse, step, axis=0), step, axis=1)[: inside.shape[0], : inside.shape[1]]
    return depth * step + 0.5
