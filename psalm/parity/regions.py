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
    per_image = drawn if isinstance(drawn[0], list) else [drawn]
    transform, wrong = ImageTransform(config), 0
    for marks, recorded in zip(per_image, regions, strict=False):
        masks = np.stack([decode_segmentation(mark, tuple(mark["size"])) for mark in marks])
        if len(masks) != len(recorded.masks):
            wrong += recorded.masks[0].numel()
            continue
        radii = (0.0, config.scribble_radius, config.point_radius)
        wrong += min(int((transform.masks(thicken(masks, radius)) != recorded.masks.bool()).sum()) for radius in radii)
    findings.count("region masks", wrong, "pixels")


def thicken(masks: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Masks (N, H, W) grown by a disc around every pixel."""
    if not radius:
        return masks
    return np.stack([distance_transform_edt(~mask) <= radius for mask in masks])
