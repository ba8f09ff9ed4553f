"""Any number of regions, on images of any size."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.conditions import SentenceCondition, VisualPriorCondition
from psalm.cutouts import CutoutRegions
from psalm.errors import ConditionError
from psalm.tiling import TilePlan, predict_tiled

from .conftest import Field, FieldPredictor, ellipses


@pytest.fixture(scope="module")
def field() -> Field:
    return ellipses((600, 800), 9, 150)


def centres(field: Field) -> list[tuple[float, float]]:
    return [tuple(np.argwhere(field.labels == number).mean(axis=0)) for number in range(1, field.count + 1)]


def test_more_regions_than_a_prompt_holds_answer_in_their_order(field, compare):
    predictor = FieldPredictor(field)
    regions = CutoutRegions.from_points(centres(field), field.labels.shape, 3)
    answer = predict_tiled(predictor, field.image, regions)
    assert len(answer.objects) == field.count
    assert answer.objects.prompts == tuple(f"point {i + 1}" for i in range(field.count))
    assert answer.looks < field.count / 3
    match = compare(field, answer.objects)
    assert match.ious.min() == 1
    for number, cutout in enumerate(answer.objects.cutouts, 1):
        r0, c0, r1, c1 = cutout.box
        assert (field.labels[r0:r1, c0:c1][cutout.mask()] == number).all()


def test_an_object_larger_than_its_window_is_asked_again_in_a_larger_one():
    rows, columns = np.ogrid[:700, :900]
    field = Field(((rows - 350) ** 2 + (columns - 450) ** 2 < 300**2).astype(np.int64))
    # Shrunk by two at most, so that the colour survives.
    answer = predict_tiled(FieldPredictor(field), field.image, CutoutRegions.from_points([(200, 300)], (700, 900), 4))
    truth = field.labels == 1
    found = answer.objects.cutouts[0].full((700, 900))
    assert (found & truth).sum() / (found | truth).sum() > 0.97
    assert "asked again in a larger one" in answer.message


def test_a_region_on_nothing_has_no_object(field):
    empty = np.argwhere(field.labels == 0)[5]
    regions = CutoutRegions.from_points([empty, centres(field)[0]], field.labels.shape, 0.5)
    objects = predict_tiled(FieldPredictor(field), field.image, regions).objects
    assert objects.prompts == ("point 2",)


def test_full_masks_may_be_given_too(field):
    condition = VisualPriorCondition.from_points(centres(field)[:2], field.labels.shape, 3)
    assert len(predict_tiled(FieldPredictor(field), field.image, condition, TilePlan(size=128)).objects) == 2


def test_each_window_is_told_what_is_excluded_in_it(field):
    predictor, points = FieldPredictor(field), [(40, 40), (560, 760)]
    full = VisualPriorCondition.from_points([*points, (50, 60), (300, 400)], field.labels.shape, 3)
    condition = VisualPriorCondition(full.masks[:2], full.kinds[:2], full.masks[2:])
    predict_tiled(predictor, field.image, condition, TilePlan(size=128))
    told = sorted(0 if excluded is None else len(excluded) for excluded in predictor.excluded)
    assert told == [0, 1]
    near = next(excluded for excluded in predictor.excluded if excluded is not None)
    assert near[0, 50, 60] and near.sum() == full.masks[2].sum()


def test_regions_of_another_image_are_refused(field):
    regions = CutoutRegions.from_points([(1, 1)], (10, 10))
    with pytest.raises(ConditionError, match="at the image's size"):
        predict_tiled(FieldPredictor(field), field.image, regions)


def test_a_sentence_is_asked_of_the_whole_image(field):
    predictor = FieldPredictor(field)
    answer = predict_tiled(predictor, field.image, SentenceCondition("all of it"))
    assert answer.looks == 1
    assert "not cut" in answer.message
    assert answer.objects.size == field.labels.shape
