"""A recorded question: from the images to the proposals of every layer, then the decoded results."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from psalm.modeling.features import ImageFeatures
from psalm.parity.findings import Finding, Findings
from psalm.parity.golden import GoldenFolder, RecordedModel
from psalm.parity.images import compare_preprocessing
from psalm.parity.recorded_prompts import recorded_points, recorded_prompts, recorded_regions
from psalm.parity.regions import compare_region_masks
from psalm.parity.results import compare_results
from psalm.parity.stages import compare_language, compare_layers
from psalm.parity.watch import watching


@torch.no_grad()
def compare_case(name: str, facts: dict[str, Any], folder: GoldenFolder, model: RecordedModel) -> list[Finding]:
    """All stages and results of one case.

    Parameters
    ----------
    name : str
    facts : dict
        Its entry in ``cases.json``.
    folder : GoldenFolder
    model : RecordedModel
    """
    findings, tensors = Findings(name), folder.tensors(f"cases/{name}.safetensors")
    features = model.encode_image(case_images(facts, tensors, folder))
    reference = _reference(findings, tensors, model)
    prompts = recorded_prompts(tensors)
    regions = recorded_regions(tensors, prompts)
    if regions is not None:
        compare_region_masks(findings, facts, regions, model.config)
    model.points = recorded_points(tensors, len(prompts))
    with watching(model) as seen:
        layers = model.propose(features, prompts, regions, reference=reference)
    compare_language(findings, model, seen, tensors, prompts)
    compare_layers(findings, layers, tensors, prompts[0].kind)
    compare_results(findings, facts, tensors, layers[-1], prompts, model.config)
    return findings.rows


def case_images(facts: dict[str, Any], tensors: dict[str, Tensor], folder: GoldenFolder) -> Tensor:
    """The model images (B, 3, S, S) of a case or of a training batch."""
    for key in ("images", "image"):
        if key in tensors:
            return tensors[key]
    return torch.cat([folder.tensors(f"img_{image}.safetensors")["image"] for image in facts["images"]])


def _reference(findings: Findings, tensors: dict[str, Tensor], model: RecordedModel) -> ImageFeatures | None:
    """The features of the frame on which the regions were drawn, where that is another one."""
    if "vp_image" not in tensors:
        return None
    reference = model.encode_image(tensors["vp_image"])
    findings.recorded("projector, reference frame", reference.image_tokens, tensors, "vp_mm_projector")
    if "vp_raw_uint8_hwc" in tensors:
        compare_preprocessing(findings, model, tensors["vp_raw_uint8_hwc"], tensors["vp_image"])
    return reference
