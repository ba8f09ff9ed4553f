"""Masks in their own boxes say the same as full masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from psalm.annotations import Annotations, Category
from psalm.coco.rle import encode_mask
from psalm.conditions import VisualPriorCondition
from psalm.cutouts import Cutout, CutoutAnnotations, CutoutRegions
from psalm.errors import AnnotationError, ConditionError

MASKS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays(bool, size))


@settings(max_examples=150, deadline=None)
@given(MASKS)
def test_a_cutout_is_its_mask_and_its_rle_is_cocos(mask):
    cutout = Cutout.from_mask(mask)
    if cutout is None:
        assert not mask.any()
        return
    assert (cutout.full(mask.shape) == mask).all()
    assert cutout.area == mask.sum()
    assert cutout.to_rle(mask.shape) == encode_mask(mask)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (9, 11)), arrays(bool, (9, 11)))
def test_overlap_and_clipping_count_pixels(one, other):
    first, second = Cutout.from_mask(one), Cutout.from_mask(other)
    if first is None or second is None:
        return
    assert first.overlap(second) == (one & other).sum()
    part = first.clipped((2, 3, 7, 20))
    assert (0 if part is None else part.area) == one[2:7, 3:].sum()


def test_a_moved_cutout_reaching_out_of_the_image_has_no_rle():
    cutout = Cutout.from_mask(np.ones((3, 3), dtype=bool))
    assert cutout is not None
    with pytest.raises(AnnotationError, match="clip it"):
        cutout.moved(-1, 0).to_rle((5, 5))
    assert cutout.moved(-1, 0).full((5, 5)).sum() == 6


def annotations() -> Annotations:
    masks = np.zeros((3, 8, 10), dtype=bool)
    masks[0, 1:5, 2:6] = True
    masks[2, 3:8, 4:10] = True
    return Annotations(masks, [1, 1, 2], [0.5, 0.6, 0.9], (Category(1, "a"), Category(2, "b")), ("p", "q", "r"))


def test_annotations_become_cutouts_and_back_without_the_empty_one():
    full = annotations()
    cutouts = CutoutAnnotations.from_annotations(full)
    kept = full.select([0, 2])
    back = cutouts.to_annotations()
    assert (back.masks == kept.masks).all()
    assert (back.prompts, back.names, back.scores.tolist()) == (kept.prompts, kept.names, kept.scores.tolist())
    assert (cutouts.to_labels() == kept.to_labels()).all()
    assert cutouts.rles() == [encode_mask(mask) for mask in kept.masks]
    assert cutouts.select([1]).names == ("b",)


def test_too_many_full_masks_are_refused():
    cutout = Cutout.from_mask(np.ones((3, 3), dtype=bool))
    assert cutout is not None
    many = CutoutAnnotations((20000, 20000), (cutout,) * 3, [1] * 3, [1] * 3, (Category(1, "a"),))
    with pytest.raises(AnnotationError, match="to_labels"):
        many.to_annotations()


def test_lengths_must_fit():
    with pytest.raises(AnnotationError, match="one of each"):
        CutoutAnnotations((5, 5), (), [1], [1], (Category(1, "a"),))


def test_regions_are_drawn_as_full_ones_are():
    size, points = (60, 80), [(30.5, 40), (0, 0), (59.4, 79)]
    full = VisualPriorCondition.from_points(points, size, 6)
    cut = CutoutRegions.from_points(points, size, 6)
    assert cut.kinds == full.kinds
    assert all((one.full(size) == mask).all() for one, mask in zip(cut.cutouts, full.masks, strict=True))
    again = CutoutRegions.from_condition(full)
    assert again.cutouts == cut.cutouts
    assert again.excluded == ()
    excluding = VisualPriorCondition(full.masks[:1], full.kinds[:1], full.masks[1:])
    assert CutoutRegions.from_condition(excluding).excluded == cut.cutouts[1:]
    boxes = CutoutRegions.from_boxes([[5, 6, 20, 90]], size)
    assert boxes.cutouts[0].box == (5, 6, 20, 80)


def test_regions_outside_the_image_are_refused():
    with pytest.raises(ConditionError, match="outside the image"):
        CutoutRegions.from_points([(70, 5)], (60, 80))
    with pytest.raises(ConditionError, match="no pixel"):
        CutoutRegions.from_boxes([(70, 5, 75, 9)], (60, 80))
    with pytest.raises(ConditionError, match="at least one"):
        CutoutRegions((5, 5), ())
