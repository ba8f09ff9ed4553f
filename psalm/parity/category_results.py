"""Results of class lists: instances, the panoptic map, and the semantic map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from psalm.conditions import CategoryCondition, Task
from psalm.decoding import Thresholds
from psalm.decoding.semantic import category_evidence
from psalm.parity.findings import STAGE_TOLERANCE, Findings
from psalm.parity.originals import tied, unpack

if TYPE_CHECKING:
    from psalm.parity.results import Answer


def compare_instances(findings: Findings, answer: Answer) -> None:
    """Scores, categories and masks of the objects; of the published ones the empty masks are left out."""
    condition = answer.conditions[0]
    found = answer.decode(Task.INSTANCE, Thresholds(score=0, min_area=1))
    if isinstance(condition, CategoryCondition) and "post_panoptic_seg" in answer.tensors:
        found = found.select(np.array([condition.is_thing[i - 1] for i in found.category_ids], dtype=bool))
    masks = unpack(answer.tensors["post_inst_masks_packed"], answer.width)
    full = masks.any(axis=(1, 2))
    masks, scores = masks[full], answer.tensors["post_inst_scores"].numpy()[full]
    classes = answer.tensors["post_inst_classes"].numpy()[full]
    findings.count("instances, number", abs(len(found) - len(masks)), "objects")
    # The published order is that of an unsorted choice: pair what is most alike.
    apart = np.stack([(found.masks != mask).sum(axis=(1, 2)) for mask in masks], axis=1) if len(masks) else None
    if apart is None or not len(found):
        return
    distance = np.abs(found.scores[:, None] - scores) + apart / apart.max().clip(1)
    distance += found.category_ids[:, None] - 1 != classes
    ours, theirs = linear_sum_assignment(distance)
    findings.count("instances, categories", int((found.category_ids[ours] - 1 != classes[theirs]).sum()), "objects")
    findings.numbers("instances, scores", found.scores[ours], scores[theirs])
    wrong = sum(answer.originals.differing(found.masks[i], masks[j]) for i, j in zip(ours, theirs, strict=True))
    findings.count("instances, masks", wrong, "pixels")


def compare_panoptic(findings: Findings, answer: Answer, thresholds: Thresholds) -> None:
    """The map of segments and what the segments are."""
    found = answer.decode(Task.PANOPTIC, thresholds)
    segments = (found.masks * np.arange(1, len(found) + 1)[:, None, None]).sum(axis=0)
    recorded = [(info["category_id"], bool(info["isthing"])) for info in answer.facts["segments_info"]]
    named = [(i - 1, found.categories[i - 1].is_thing) for i in found.category_ids.tolist()]
    findings.count("panoptic, segments", 0 if named == recorded else max(len(named), len(recorded)), "segments")
    scores, labels = answer.logits.softmax(dim=-1).max(dim=-1)
    keep = (labels < answer.logits.shape[-1] - 1) & (scores > thresholds.panoptic_score - STAGE_TOLERANCE)
    weighted = scores[keep, None, None] * answer.originals.logits[keep].sigmoid()
    unsure = answer.originals.near | tied(weighted)
    different = segments != answer.tensors["post_panoptic_seg"].numpy()
    findings.count("panoptic, map", int((different & ~unsure).sum()), "pixels")


def compare_semantic(findings: Findings, answer: Answer) -> None:
    """The evidence for each category, and the category of each pixel."""
    theirs = answer.tensors["post_sem_seg"]
    if "post_panoptic_seg" in answer.tensors:
        # Beside a panoptic map the published code adds masks up at the original size.
        probabilities = answer.logits.softmax(dim=-1)[:, :-1]
        ours = torch.einsum("qc,qhw->chw", probabilities, answer.originals.logits.sigmoid())
        findings.numbers("semantic, evidence", ours, theirs)
        return
    masks = answer.originals.masks
    findings.numbers("semantic, evidence", masks.to_original(category_evidence(masks, answer.logits)), theirs)
    found = answer.decode(Task.SEMANTIC, Thresholds())
    winner = (found.masks * found.category_ids[:, None, None]).sum(axis=0) - 1
    different = winner != theirs.argmax(dim=0).numpy()
    findings.count("semantic, map", int((different & ~tied(theirs)).sum()), "pixels")
