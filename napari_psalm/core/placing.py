"""Brings a label image from what the model saw to the grid of the result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.image_planes import ImagePlane


def place(
    labels: NDArray[Any], seen: ImagePlane, plane: ImagePlane, everywhere: bool = False
) -> tuple[ImagePlane, NDArray[Any]]:
    """The part of a plane that the objects of a label image cover, and their pixels there.

    Parameters
    ----------
    labels : (H, W) array of int
        On the grid of `seen`.
    seen, plane : ImagePlane
        The same part of an image; `plane` may have more pixels.
    everywhere : bool
        Give all of `plane`, not only the box around the objects.

    Returns
    -------
    ImagePlane
    (h, w) array of int
        On the grid of that plane.
    """
    spans = []
    for i, places in enumerate(plane.centres_on(seen)):
        index = np.clip(np.rint(places).astype(np.int64), 0, labels.shape[i] - 1)
        covered = np.asarray(labels.any(axis=1 - i))[index]
        inside = np.arange(len(index)) if everywhere or not covered.any() else np.flatnonzero(covered)
        spans.append((slice(int(inside[0]), int(inside[-1]) + 1), index))
    (rows, at_rows), (columns, at_columns) = spans
    if plane is seen:
        return plane.within(rows, columns), labels[rows, columns]
    return plane.within(rows, columns), labels[np.ix_(at_rows[rows], at_columns[columns])]
