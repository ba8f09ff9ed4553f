"""Regions as they were drawn, brought to the model image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from psalm.coco.rle import decode_segmentation
from psalm.config import PSALMConfig
from psalm.image_transform import ImageTransform
from psalm.modeling.features import Regions
from psalm.parity.findings import Findings


def compare_region_masks(
    findings: Findings, facts: dict[str, Any], regions: Sequence[Regions], config: PSALMConfig
) -> None:
    """The drawn regions of a case, where recorded, on the model image.

    What kind of mark a region was is not recorded: one of the published radii must fit.
    """
    drawn = facts.get("prompt_rle", facts.get("reference_rle"))
    if not drawn:
        return
    transform, wrong = ImageTransform(config), 0
    for marks, recorded in zip(drawn if isinstance(drawn[0], list) else [drawn], regions, strict=False):
        if len(marks) != len(recorded.masks):
            wrong += recorded.masks[0].numel()
            continue
        for mark, expected in zip(marks, recorded.masks, strict=True):
            mask = decode_segmentation(mark, tuple(mark["size"]))
            grown = np.stack([thicken(mask, radius) for radius in (0.0, config.scribble_radius, config.point_radius)])
            wrong += int((transform.masks(grown) != expected.bool()).sum(dim=(1, 2)).min())
    findings.count("region masks", wrong, "pixels")


def thicken(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """A mask (H, W) grown by a disc around every pixel."""
    return distance_transform_edt(~mask) <= radius if radius else mask
