"""Images and masks at the published model's size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from psalm.coco.rle import decode_segmentation
from psalm.config import PSALMConfig
from psalm.image_transform import Frame, ImageTransform
from psalm.parity.findings import Finding, Findings
from psalm.parity.images import one_grey_level
from psalm.parity.regions import thicken

_LINE = 500  # the row and the column that are recorded in full


def compare_sizes(facts: dict[str, Any], tensors: dict[str, Tensor]) -> list[Finding]:
    """All recorded original sizes, each a case of its own."""
    rows = []
    for name, entry in facts.items():
        if isinstance(entry, dict) and {"h", "w"} <= set(entry):
            rows += _compare_size(name, entry, tensors)
    return rows


def _compare_size(name: str, facts: dict[str, Any], tensors: dict[str, Tensor]) -> list[Finding]:
    findings, transform = Findings(f"preprocess {name}"), ImageTransform(PSALMConfig())
    raw = tensors[f"{name}.raw"].numpy() if f"{name}.raw" in tensors else _pattern(facts["h"], facts["w"])
    frame = transform.frame(raw.shape)
    findings.numbers("resized shape", list(frame.resized), facts["unpadded"], 0.0)
    image, grey = transform.image(raw), one_grey_level(transform.config.pixel_std)
    lines = np.stack([image[:, _LINE].numpy(), image[:, :, _LINE].numpy()])
    for key, ours in (("image_sub4", image[:, ::4, ::4]), ("image_rowcol", lines)):
        if f"{name}.{key}" in tensors:
            findings.numbers(f"image, {key.removeprefix('image_')}", ours, tensors[f"{name}.{key}"], grey)
    for kind, mark in facts.get("prompts", {}).items():
        drawn = decode_segmentation(mark, frame.original)
        radius = {"point": transform.config.point_radius, "scribble": transform.config.scribble_radius}.get(kind, 0.0)
        ours = transform.masks(thicken(drawn, radius)[None])[0].numpy()
        _compare_mask(findings, f"region, {kind}", ours, tensors, f"{name}.region_{kind}_packed")
    if "polygon" in facts:
        truth = _polygon_on_model_image(facts["polygon"], frame)
        _compare_mask(findings, "truth, polygon", truth, tensors, f"{name}.gt_mask_packed")
    return findings.rows


def _compare_mask(findings: Findings, stage: str, ours: Any, tensors: dict[str, Tensor], key: str) -> None:
    if key in tensors:
        theirs = np.unpackbits(tensors[key].numpy(), axis=-1)[:, : ours.shape[1]].astype(bool)
        findings.count(stage, int((ours != theirs).sum()), "pixels")


def _pattern(height: int, width: int) -> NDArray[np.uint8]:
    """The picture that stands for large images, which are not recorded."""
    y, x = np.mgrid[:height, :width]
    channels = ((x // 3 + y // 5) % 256, (x * y // 4000 + 40) % 256, (y // 4 + x // 7 + 90) % 256)
    return np.stack(channels, axis=-1).astype(np.uint8)


def _polygon_on_model_image(polygons: list[list[float]], frame: Frame) -> NDArray[np.bool_]:
    """Polygons scaled first and drawn then, as the published code does."""
    (height, width), (rows, columns) = frame.original, frame.resized
    scaled = [(np.reshape(p, (-1, 2)) * (columns / width, rows / height)).flatten().tolist() for p in polygons]
    mask = np.zeros((frame.size, frame.size), dtype=bool)
    mask[:rows, :columns] = decode_segmentation(scaled, frame.resized)
    return mask
