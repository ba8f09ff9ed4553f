"""Results of sentences, of regions, and of regions that move through a video."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from psalm.annotations import Annotations
from psalm.conditions import Task
from psalm.decoding import Thresholds
from psalm.decoding.video import distinct_queries, fuse_objects, largest_overlap, may_be_remembered, region_scores
from psalm.parity.findings import STAGE_TOLERANCE, Findings
from psalm.parity.originals import unpack

if TYPE_CHECKING:
    from psalm.parity.results import Answer

_GENERAL = 0.6  # the score at which the published evaluation unites masks


def compare_referring(findings: Findings, answer: Answer) -> None:
    """Scores and masks of all queries, the chosen mask, and the union for several objects."""
    scores = region_scores(answer.originals.masks, answer.logits)[:, 0].numpy()
    _compare_queries(findings, answer, scores)
    _compare_chosen(findings, answer, answer.decode(Task.REFERRING, Thresholds()), "chosen_mask_packed")
    if "grefcoco_fused_mask_packed" in answer.tensors:
        united = answer.decode(Task.GENERALISED_REFERRING, Thresholds(score=_GENERAL))
        theirs = unpack(answer.tensors["grefcoco_fused_mask_packed"], answer.width)
        different = (_one_mask(united, theirs.shape) != theirs) & ~answer.originals.near
        findings.count("generalised referring, mask", int(different.sum()), "pixels")
    number = answer.facts.get("grefcoco_num_above_0.6")
    if number is not None and not (np.abs(scores - _GENERAL) < STAGE_TOLERANCE).any():
        findings.count("generalised referring, masks above 0.6", abs(int((scores > _GENERAL).sum()) - number), "masks")


def compare_regions(findings: Findings, answer: Answer) -> None:
    """Scores of all queries for all regions, all masks, and the chosen mask of each region."""
    tensors, originals = answer.tensors, answer.originals
    scores = region_scores(originals.masks, answer.logits)
    findings.recorded("regions, scores", scores, tensors, "post_inst_scores")
    if "post_inst_masks_packed" in tensors:
        masks = unpack(tensors["post_inst_masks_packed"], answer.width)
        wrong = sum(originals.differing(originals.masks.mask(i).numpy(), mask) for i, mask in enumerate(masks))
        findings.count("regions, masks", wrong, "pixels")
    if "chosen_index" in answer.facts:
        chosen = np.ravel(answer.facts["chosen_index"])
        best = scores.max(dim=0).values.numpy()
        behind = max(float(best[r] - scores[query, r]) for r, query in enumerate(chosen))
        findings.numbers("regions, chosen query is the best", behind, 0.0)
    if "chosen_masks_packed" in tensors:
        masks = unpack(tensors["chosen_masks_packed"], answer.width)
        found = answer.decode(Task.INTERACTIVE, Thresholds())
        shown = masks[masks.any(axis=(1, 2))]
        findings.count("interactive, number", abs(len(found) - len(shown)), "objects")
        wrong = sum(originals.differing(ours, theirs) for ours, theirs in zip(found.masks, shown, strict=False))
        findings.count("interactive, masks", wrong, "pixels")


def compare_objects(findings: Findings, answer: Answer) -> None:
    """The video frame: the query of each object, the label map, and whether it becomes the memory."""
    facts, originals = answer.facts, answer.originals
    queries = distinct_queries(region_scores(originals.masks, answer.logits))
    if "davis_chosen_queries" in facts:
        wrong = sum(ours != theirs for ours, theirs in zip(queries, facts["davis_chosen_queries"], strict=False))
        findings.count("video, chosen queries", wrong, "objects")
    masks = np.stack([originals.masks.mask(query).numpy() for query in queries])
    numbers = answer.tensors["vp_fill_number_0"].tolist()
    different = fuse_objects(masks, numbers) != answer.tensors["davis_fused_mask"].numpy()
    findings.count("video, label map", int((different & ~originals.near).sum()), "pixels")
    overlap = facts.get("pair_iou")
    if isinstance(overlap, (int, float)) and not math.isnan(overlap):
        findings.numbers("video, overlap of the objects", largest_overlap(masks), overlap)
    if "memory_updated" in facts:
        findings.count("video, memory", int(may_be_remembered(masks) != facts["memory_updated"]), "decisions")


def _compare_queries(findings: Findings, answer: Answer, scores: NDArray[Any]) -> None:
    """Scores and masks of all queries, recorded in an unknown order: pair what is most alike."""
    tensors, originals = answer.tensors, answer.originals
    if "post_inst_scores" not in tensors:
        return
    theirs = tensors["post_inst_scores"].numpy()
    masks = unpack(tensors["post_inst_masks_packed"], answer.width)
    ours = (originals.logits > 0).numpy()
    apart = np.stack([(ours != mask).mean(axis=(1, 2)) for mask in masks], axis=1)
    rows, columns = linear_sum_assignment(np.abs(scores[:, None] - theirs) + apart)
    findings.numbers("referring, scores", scores[rows], theirs[columns])
    wrong = sum(originals.differing(ours[i], masks[j]) for i, j in zip(rows, columns, strict=True))
    findings.count("referring, masks", wrong, "pixels")


def _compare_chosen(findings: Findings, answer: Answer, found: Annotations, key: str) -> None:
    if key in answer.tensors:
        theirs = unpack(answer.tensors[key], answer.width)
        wrong = answer.originals.differing(_one_mask(found, theirs.shape), theirs)
        findings.count("referring, chosen mask", wrong, "pixels")
        scores = answer.tensors.get("post_inst_scores")
        if scores is not None and len(found):
            findings.numbers("referring, best score", found.scores[0], scores.max())


def _one_mask(found: Annotations, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The one object's mask; empty where there is none."""
    return found.masks[0] if len(found) else np.zeros(shape, dtype=bool)
