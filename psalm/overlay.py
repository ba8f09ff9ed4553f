"""Pictures of results: masks, outlines and labels drawn over the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.cutouts import Cutout, CutoutAnnotations
from psalm.errors import AnnotationError
from psalm.files import replacing
from psalm.images import to_rgb8

# Bright and far apart in hue, neighbours in the list most of all: objects that touch often follow one another.
PALETTE = (
    (255, 99, 71),
    (30, 144, 255),
    (255, 200, 0),
    (186, 85, 211),
    (0, 200, 120),
    (255, 105, 180),
    (0, 206, 209),
    (255, 140, 0),
    (123, 104, 238),
    (154, 205, 50),
    (220, 20, 60),
    (70, 130, 180),
)


def colour_of(position: int) -> tuple[int, int, int]:
    """RGB colour, 0 to 255, of the object at a position of its `Annotations`."""
    return PALETTE[position % len(PALETTE)]


def draw_overlay(
    image: NDArray[Any],
    annotations: Annotations | CutoutAnnotations,
    opacity: float = 0.45,
    labels: bool = True,
    min_size: int = 0,
    colours: Sequence[tuple[int, int, int]] | None = None,
) -> NDArray[np.uint8]:
    """Draw objects over their image.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
        Any image that `psalm.images.to_rgb8` takes.
    annotations : Annotations or CutoutAnnotations
        Small objects are drawn over large ones.
    opacity : float
        Of the colour inside a mask, 0 to 1.
    labels : bool
        Write class and score beside each object that is large enough for it.
    min_size : int
        Enlarge a small image until its longer side has this many pixels, so that labels can be read; 0 keeps the size.
    colours : sequence of (red, green, blue), optional
        One per object, 0 to 255; neighbours differ when not given.

    Returns
    -------
    (h, w, 3) array of uint8
        RGB.

    Raises
    ------
    AnnotationError
        When masks and image differ in size.
    """
    canvas = to_rgb8(image)
    if canvas.shape[:2] != annotations.size:
        raise AnnotationError(
            f"The masks have size {annotations.size}, the image {canvas.shape[:2]} (height, width): "
            "draw them over the image that they were made for."
        )
    scale = max(1, -(-min_size // max(canvas.shape[:2])))
    canvas = _enlarge(canvas, scale)
    found = {i: cutout for i, cutout in enumerate(_cutouts(annotations, scale)) if cutout is not None}
    cutouts = dict(sorted(found.items(), key=lambda entry: -entry[1].area))
    if colours is None:
        colours = [colour_of(i) for i in range(len(annotations))]
    for i, cutout in cutouts.items():
        _paint(canvas, cutout, colours[i], opacity)
    return _write_labels(canvas, cutouts, annotations, colours) if labels else canvas


def draw_click(picture: NDArray[np.uint8], point: tuple[float, float], scale: int = 1) -> NDArray[np.uint8]:
    """Mark a click at (row, column) on a copy of an RGB (h, w, 3) picture that was enlarged `scale` times."""
    from PIL import Image, ImageDraw

    page = Image.fromarray(picture)
    draw = ImageDraw.Draw(page)
    row, column = ((value + 0.5) * scale for value in point)
    radius = max(picture.shape[:2]) / 90
    for grow, colour in ((1.5, "black"), (1.15, "white"), (0.7, "#e4002b")):
        reach = radius * grow
        draw.ellipse((column - reach, row - reach, column + reach, row + reach), fill=colour)
    return np.asarray(page)


def save_picture(path: Path | str, picture: NDArray[np.uint8]) -> Path:
    """Write an (h, w, 3) uint8 picture as PNG; an old file stays whole until the new one is complete.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="png")
    return Path(path)


def _enlarge(picture: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    from PIL import Image

    if scale == 1:
        return picture.copy()
    size = (picture.shape[1] * scale, picture.shape[0] * scale)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _cutouts(annotations: Annotations | CutoutAnnotations, scale: int) -> Iterator[Cutout | None]:
    """The objects, enlarged; None for one without a pixel."""
    cutouts = map(Cutout.from_mask, annotations.masks) if isinstance(annotations, Annotations) else annotations.cutouts
    for one in cutouts:
        if one is None or scale == 1:
            yield one
        else:
            mask = one.mask().repeat(scale, axis=0).repeat(scale, axis=1)
            yield Cutout.from_mask(mask, (one.corner[0] * scale, one.corner[1] * scale))


def _paint(canvas: NDArray[np.uint8], cutout: Cutout, colour: tuple[int, int, int], opacity: float) -> None:
    from scipy.ndimage import binary_erosion

    rim = max(1, round(max(canvas.shape[:2]) / 350))
    # Only the box around the object is touched, with a rim so that erosion sees what lies outside.
    (row0, column0, row1, column1), (height, width) = cutout.box, canvas.shape[:2]
    box = max(row0 - 1, 0), max(column0 - 1, 0), min(row1 + 1, height), min(column1 + 1, width)
    inside, part = cutout.within(box), canvas[box[0] : box[2], box[1] : box[3]]
    part[inside] = (part[inside] * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)
    part[inside & ~binary_erosion(inside, iterations=rim, border_value=1)] = colour


def _write_labels(
    canvas: NDArray[np.uint8],
    cutouts: Mapping[int, Cutout],
    annotations: Annotations | CutoutAnnotations,
    colours: Sequence[tuple[int, int, int]],
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    page = Image.fromarray(canvas)
    draw = ImageDraw.Draw(page)
    size = max(11.0, max(canvas.shape[:2]) / 50)
    font = ImageFont.load_default(size)
    for i, cutout in cutouts.items():
        row, left_most, _, right_most = cutout.box
        room = 1.5 * (right_most - left_most)
        score = f"{annotations.scores[i]:.2f}"
        fitting = [text for text in (f"{annotations.names[i]} {score}", score) if draw.textlength(text, font) <= room]
        if not fitting:
            continue
        width, height = draw.textlength(fitting[0], font) + 0.6 * size, 1.3 * size
        left = float(np.clip((left_most + right_most - 1 - width) / 2, 0, max(page.width - width, 0)))
        top = float(max(row - height, 0))
        draw.rounded_rectangle((left, top, left + width, top + height), radius=0.3 * size, fill=colours[i])
        middle = (left + width / 2, top + height / 2)
        draw.text(middle, fitting[0], fill="black" if _is_light(colours[i]) else "white", font=font, anchor="mm")
    return np.asarray(page)


def _is_light(colour: tuple[int, int, int]) -> bool:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue > 150
