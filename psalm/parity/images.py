"""Each recorded image alone: preprocessing, backbone, projector and pixel decoder."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from psalm.image_transform import ImageTransform
from psalm.modeling.psalm import PSALM
from psalm.parity.findings import Finding, Findings


@torch.no_grad()
def compare_image(name: str, tensors: dict[str, Tensor], model: PSALM) -> list[Finding]:
    """All stages that depend on an image alone.

    Parameters
    ----------
    name : str
        Of the image.
    tensors : dict
        The recorded tensors.
    model : PSALM
        With the recorded weights.
    """
    findings = Findings(f"image {name}")
    if "raw_uint8_hwc" in tensors:
        compare_preprocessing(findings, model, tensors["raw_uint8_hwc"], tensors["image"])
    if {"raw_uint8_hwc", "padding_mask"} <= set(tensors):
        height, width = ImageTransform(model.config).frame(tuple(tensors["raw_uint8_hwc"].shape)).resized
        padding = torch.ones(tensors["padding_mask"].shape, dtype=torch.bool)
        padding[:height, :width] = False
        findings.count("padding", int((padding != tensors["padding_mask"]).sum()), "pixels")
    features = model.encode_image(tensors["image"])
    for level, tensor in zip(("res2", "res3", "res4", "res5"), features.pyramid, strict=True):
        findings.recorded(f"backbone {level}", tensor, tensors, level)
    findings.recorded("projector", features.image_tokens, tensors, "mm_projector")
    for key, tensor in features.generator.items():
        findings.recorded(f"pixel decoder {key}", tensor, tensors, key)
    return findings.rows


def compare_preprocessing(findings: Findings, model: PSALM, raw: Tensor, image: Tensor) -> None:
    """The model image, within one grey level."""
    ours = ImageTransform(model.config).image(np.asarray(raw))
    findings.numbers("preprocessing", ours[None], image, one_grey_level(model.config.pixel_std))


def one_grey_level(pixel_std: tuple[float, ...]) -> float:
    """A step of one in an 8-bit image, after normalisation."""
    return 1 / min(pixel_std) + 1e-5
