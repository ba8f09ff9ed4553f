from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from napari_psalm.core.deciding import Found, decide, to_labels
from napari_psalm.core.kept import Kept, keep
from napari_psalm.core.limits import ClassLimits, Limits, model_limits
from napari_psalm.core.patches import Patch
from psalm.conditions import CategoryCondition, Condition, SentenceCondition, Task, VisualPriorCondition
from psalm.decoding import Thresholds, decode
from psalm.image_transform import ImageTransform
from psalm.proposals import MaskProposals

SHAPE = (90, 70)
CONFIG = SimpleNamespace(image_size=64)
THRESHOLDS = Thresholds(score=0.3, panoptic_score=0.4, nms_iou=0.5, inside=0.8)
CLASSES = CategoryCondition(("a", "b", "c"), (True, True, False))
REGIONS = VisualPriorCondition.from_points([(20, 20), (60, 50)], SHAPE)


def _proposals(seed: int, columns: int, quality: bool) -> MaskProposals:
    """Blobs of several sizes, some of which overlap."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:16, :16]
    places, sizes = random.uniform(0, 14, (12, 2)), random.uniform(1.5, 6, 12)
    distance = np.hypot(rows - places[:, :1, None], cols - places[:, 1:, None])
    masks = (sizes[:, None, None] - distance) * 2 + random.normal(0, 0.3, (12, 16, 16))
    return MaskProposals(
        torch.from_numpy(masks.astype(np.float32))[None],
        torch.from_numpy(random.normal(0, 3, (1, 12, columns)).astype(np.float32)),
        (columns,),
        torch.from_numpy(random.uniform(0.4, 1, (1, 12)).astype(np.float32)) if quality else None,
    )


def _keep(proposals: MaskProposals, condition: Condition, task: Task, exclusions: Any = None) -> Kept:
    predictor = SimpleNamespace(config=CONFIG, thresholds=THRESHOLDS)
    return keep(proposals, condition, task, SHAPE, predictor, exclusions)


def _full(found: list[Found]) -> np.ndarray:
    masks = np.zeros((len(found), *SHAPE), dtype=bool)
    for mask, one in zip(masks, found, strict=True):
        mask[one.patch.slices] = one.patch.mask
    return masks


@pytest.mark.parametrize("quality", [True, False])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("task", "condition", "columns"),
    [
        (Task.INSTANCE, CLASSES, 4),
        (Task.SEMANTIC, CLASSES, 4),
        (Task.REFERRING, SentenceCondition("it"), 1),
        (Task.GENERALISED_REFERRING, SentenceCondition("them"), 1),
        (Task.INTERACTIVE, REGIONS, 2),
    ],
)
def test_with_the_models_limits_the_objects_are_those_of_the_library(
    task: Task, condition: Condition, columns: int, seed: int, quality: bool
) -> None:
    proposals = _proposals(seed, columns, quality)
    expected = decode(proposals, task, [condition], [ImageTransform(CONFIG).frame(SHAPE)], THRESHOLDS)[0]
    found = decide(_keep(proposals, condition, task), ClassLimits(model_limits(THRESHOLDS, task)))
    assert len(found) == len(expected)
    # A pixel whose logit is zero but for rounding may fall either way.
    assert (_full(found) != expected.masks).sum() <= 2
    if isinstance(condition, CategoryCondition):
        assert [one.part + 1 for one in found] == expected.category_ids.tolist()
    np.testing.assert_allclose([one.score for one in found], expected.scores, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_panoptic_segments_are_those_of_the_library(seed: int) -> None:
    proposals = _proposals(seed, 4, True)
    frame = ImageTransform(CONFIG).frame(SHAPE)
    expected = decode(proposals, Task.PANOPTIC, [CLASSES], [frame], THRESHOLDS)[0]
    found = decide(_keep(proposals, CLASSES, Task.PANOPTIC), ClassLimits(model_limits(THRESHOLDS, Task.PANOPTIC)))
    assert len(found) == len(expected)
    masks = {part: np.zeros(SHAPE, dtype=bool) for part in range(3)}
    for one in found:
        assert not masks[one.part][one.patch.slices][one.patch.mask].any()
        masks[one.part][one.patch.slices] |= one.patch.mask
    for part, mask in masks.items():
        theirs = expected.masks[expected.category_ids == part + 1].any(axis=0)
        # Pixels are ordered by probabilities that are kept in steps.
        assert (mask != theirs).mean() < 0.02


def _instances(limits: ClassLimits) -> list[Found]:
    return decide(_keep(_proposals(1, 4, True), CLASSES, Task.INSTANCE), limits)


def test_each_limit_does_what_it_says() -> None:
    loose = Limits(score=0.05)
    everything = _instances(ClassLimits(loose))
    assert len(everything) > 4
    assert all(one.score >= 0.5 for one in _instances(ClassLimits(replace(loose, score=0.5))))
    assert 0 < len(_instances(ClassLimits(replace(loose, score=0.5)))) < len(everything)
    areas = sorted(one.patch.area for one in everything)
    assert len(_instances(ClassLimits(replace(loose, area=areas[-1])))) == areas.count(areas[-1])
    best = sorted((one.score for one in everything), reverse=True)[:2]
    assert [one.score for one in _instances(ClassLimits(replace(loose, most=2)))] == best
    apart = _instances(ClassLimits(replace(loose, overlap=0.1)))
    assert len(apart) < len(everything)
    assert all(a.patch.iou(b.patch) <= 0.1 for i, a in enumerate(apart) for b in apart[:i])


def test_a_lower_mask_threshold_makes_masks_larger() -> None:
    kept = _keep(_proposals(0, 2, True), REGIONS, Task.INTERACTIVE)
    sizes = [
        decide(kept, ClassLimits(Limits(score=0, mask=probability)))[0].patch.area for probability in (0.9, 0.5, 0.1)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_a_class_may_have_its_own_limits() -> None:
    limits = ClassLimits(Limits(score=0.05))
    before = {part: sum(one.part == part for one in _instances(limits)) for part in range(3)}
    strict = limits.with_limits(Limits(score=1.0), "a")
    after = {part: sum(one.part == part for one in _instances(strict)) for part in range(3)}
    assert before[0] > 0
    assert after == {**before, 0: 0}
    assert _instances(strict.without("a")) and len(_instances(strict.without("a"))) == sum(before.values())
    few = limits.with_limits(replace(limits.overall, most=1), "b")
    assert sum(one.part == 1 for one in _instances(few)) == 1


def test_where_objects_overlap_the_better_one_is_seen() -> None:
    square = np.ones((2, 2), dtype=bool)
    labels = to_labels([Found(Patch(0, 0, square), 0.9, 0), Found(Patch(1, 1, square), 0.5, 0)], (3, 3))
    assert labels.tolist() == [[1, 1, 0], [1, 1, 2], [0, 2, 2]]


def test_an_exclusion_drops_what_covers_it_and_is_cut_out() -> None:
    proposals = _proposals(1, 4, True)
    before = decide(_keep(proposals, CLASSES, Task.INSTANCE), ClassLimits(Limits(score=0.3)))
    target = before[0].patch
    row, column = (int(axis[0]) for axis in np.nonzero(target.mask))
    exclusion = np.zeros((1, *SHAPE), dtype=bool)
    exclusion[0, target.row + row, target.column + column] = True
    after = decide(_keep(proposals, CLASSES, Task.INSTANCE, exclusion), ClassLimits(Limits(score=0.3)))
    assert len(after) < len(before)
    assert not to_labels(after, SHAPE)[exclusion[0]].any()
