"""What `psalm relabel` proposes, drawn over the objects until it is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.proposals import Proposals
from psalm.coco.rle import decode_segmentation

if TYPE_CHECKING:
    from napari.layers import Labels

NAME = "relabel"
_COLOURS = {"remove": (0.91, 0.30, 0.24, 1.0), "change": (0.95, 0.77, 0.06, 1.0), "add": (0.18, 0.80, 0.44, 1.0)}


def draw_proposals(proposals: Proposals, objects: AnnotationLayer, label_of: Mapping[int, int]) -> Labels:
    """Outlines: green for what would be added, yellow for what objects would become, red for what would be removed.

    Parameters
    ----------
    proposals : Proposals
        Those that can still be accepted.
    objects : AnnotationLayer
        The objects as they are.
    label_of : mapping of int to int
        Ids in that layer by stored ids.

    Raises
    ------
    AnnotationError
        When a mask is damaged.
    """
    import pandas as pd
    from napari.layers import Labels
    from napari.utils import DirectLabelColormap

    old = objects.layer.data
    drawn = np.zeros(old.shape, dtype=np.uint32)
    rows: list[dict[str, Any]] = []
    # What comes lies on top of what goes.
    for verb, items in (("remove", proposals.removed), ("change", proposals.changed), ("add", proposals.added)):
        for one in items:
            gone = verb == "remove"
            mask = old == label_of[int(one["object_id"])] if gone else decode_segmentation(one["rle"], old.shape)
            rows.append({"index": len(rows) + 1, "change": verb, "class": one["category"], "score": one["score"]})
            drawn[mask] = len(rows)
    colours: dict[int | None, Any] = {row["index"]: np.array(_COLOURS[row["change"]]) for row in rows}
    colormap = DirectLabelColormap(color_dict={None: np.zeros(4), 0: np.zeros(4)} | colours)
    layer = Labels(drawn, name=NAME, colormap=colormap, opacity=1.0, features=pd.DataFrame(rows))
    layer.contour = 2
    layer.editable = False
    layer.metadata["psalm"] = {"preview": True}
    return layer
