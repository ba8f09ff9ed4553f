"""Class lists on large and crowded images: every object once, whole, and wherever the tiles lie."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.conditions import CategoryCondition
from psalm.tiling import TilePlan, predict_tiled
from psalm.tiling.plan import OBJECT_PIXELS, grid

from .conftest import Field, FieldPredictor, _annotations, ellipses

NUCLEUS = CategoryCondition(["nucleus"])


@pytest.fixture(scope="module")
def crowd() -> Field:
    """Twelve hundred nuclei, and more than a thousand in any case."""
    return ellipses((600, 760), 8, 1300)


def test_a_thousand_nuclei_come_back_as_a_thousand_objects(crowd, compare):
    assert crowd.count > 1000
    answer = predict_tiled(FieldPredictor(crowd), crowd.image, NUCLEUS)
    match = compare(crowd, answer.objects)
    assert match.found == crowd.count
    assert match.ious.min() > 0.97


def test_without_tiles_the_same_predictor_stops_at_its_mask_tokens(crowd, compare):
    answer = predict_tiled(FieldPredictor(crowd), crowd.image, NUCLEUS, TilePlan(factor=100, most_objects=10**6))
    assert len(answer.objects) <= 100


def test_running_out_of_mask_tokens_is_said():
    field = ellipses((256, 256), 7, 150)
    answer = predict_tiled(FieldPredictor(field, capacity=40), field.image, NUCLEUS)
    assert "asked as a whole" in answer.message
    assert "asked again in quarters" in answer.message
    assert len(answer.objects) == field.count


def test_a_small_image_with_few_objects_is_asked_once():
    field = ellipses((200, 240), 20, 12)
    predictor = FieldPredictor(field)
    answer = predict_tiled(predictor, field.image, NUCLEUS)
    assert (answer.looks, predictor.asked) == (1, [(200, 240)])
    assert len(answer.objects) == field.count
    assert "tiles" not in answer.message


@pytest.mark.parametrize("seed", [0, 1])
def test_with_a_noisy_predictor_counts_hold_and_no_seam_shows(crowd, compare, seed):
    plan = TilePlan(size=160, halo=24)
    objects = predict_tiled(FieldPredictor(crowd, noise=0.005, seed=seed), crowd.image, NUCLEUS, plan).objects
    match = compare(crowd, objects)
    assert match.count_error <= 0.02
    on, off = match.ious[_on_seam(crowd, plan)], match.ious[~_on_seam(crowd, plan)]
    assert len(on) > 100
    assert abs(on.mean() - off.mean()) < 0.02


def test_results_do_not_depend_on_the_grid(crowd, compare):
    for plan in (TilePlan(size=130), TilePlan(size=200, halo=40), TilePlan(size=311), TilePlan(most_objects=15)):
        match = compare(crowd, predict_tiled(FieldPredictor(crowd, noise=0.005), crowd.image, NUCLEUS, plan).objects)
        assert match.count_error <= 0.02, plan
        assert np.mean(match.ious > 0.6) > 0.98, plan


def test_an_object_on_a_seam_and_one_larger_than_a_tile_come_back_whole(compare):
    labels = np.zeros((600, 800), dtype=np.int64)
    rows, columns = np.ogrid[:600, :800]
    labels[(rows - 300) ** 2 + (columns - 300) ** 2 < 220**2] = 1  # larger than any tile
    labels[(rows - 100) ** 2 + (columns - 650) ** 2 < 30**2] = 2
    labels[520:530, 40:760] = 3  # through many tiles
    field = Field(labels)
    for plan in (TilePlan(size=150, halo=30), TilePlan(size=256), TilePlan()):
        match = compare(field, predict_tiled(FieldPredictor(field), field.image, NUCLEUS, plan).objects)
        assert match.found == 3, plan
        assert match.ious.min() > 0.9, plan


class Fading(FieldPredictor):
    """Overlooks most objects in small tiles, and takes the ground at an edge of the first tile for an object."""

    def _answer(self, image, condition):
        found = super()._answer(image, condition)
        if max(image.shape[:2]) < 170:
            return found.select(np.arange(0, len(found), 3))
        if len(self.asked) > 1:
            return found
        ground = np.zeros((1, *image.shape[:2]), dtype=bool)
        ground[0, 60:, -80:] = True
        masks = np.concatenate([found.masks, ground & ~found.masks.any(axis=0)])
        ids = np.ones(len(masks), dtype=np.int64)
        return _annotations(list(masks), np.full(len(ids), 0.9), ("nucleus",), ("nucleus",) * len(ids))


def test_what_quarters_overlook_stays_and_what_one_tile_invents_does_not(compare):
    field = ellipses((500, 500), 10, 160, seed=2)
    plan = TilePlan(size=250, most_objects=20, overview=False)
    match = compare(field, predict_tiled(Fading(field), field.image, NUCLEUS, plan).objects)
    assert match.count_error <= 0.02
    assert np.mean(match.ious > 0.9) > 0.98


def test_the_number_of_pixels_or_of_objects_is_chosen_by_hand(crowd):
    by_size, by_objects = FieldPredictor(crowd), FieldPredictor(crowd)
    predict_tiled(by_size, crowd.image, NUCLEUS, TilePlan(size=128, most_objects=1000))
    assert {max(size) for size in by_size.asked} <= set(range(60, 129))
    predict_tiled(by_objects, crowd.image, NUCLEUS, TilePlan(most_objects=10))
    inside = [size for size in by_objects.asked if max(size) < 90]
    assert len(inside) > 100


def test_the_object_size_chooses_the_tiles(crowd):
    predictor = FieldPredictor(crowd)
    predict_tiled(predictor, crowd.image, NUCLEUS, TilePlan(object_size=22, most_objects=1000))
    assert max(max(size) for size in predictor.asked) == pytest.approx(256 * 22 / OBJECT_PIXELS, rel=0.06)


def test_a_wrong_object_size_is_said(crowd):
    def doubt(size: float, field: Field) -> str:
        return predict_tiled(FieldPredictor(field), field.image, NUCLEUS, TilePlan(object_size=size)).doubt

    areas = np.bincount(crowd.labels.ravel())[1:]
    across = float(np.sqrt(4 * np.median(areas) / np.pi))
    assert doubt(round(across), crowd) == ""
    assert f"about {across:.0f} pixels across, not 60" in doubt(60, crowd)
    assert "nothing was found" in doubt(22, Field(np.zeros((400, 400), dtype=np.int64)))


def test_regions_of_stuff_are_one_object_whatever_the_grid():
    field = Field(np.pad(np.ones((300, 500), dtype=np.int64), 30))
    condition = CategoryCondition(["sky"], [False])
    predictor = FieldPredictor(field)
    objects = predict_tiled(predictor, field.image, condition, TilePlan(size=100), task="panoptic").objects
    assert [cutout.area for cutout in objects.cutouts] == [150000]


def _on_seam(field: Field, plan: TilePlan) -> np.ndarray:
    """Which objects meet the border of a core."""
    seam = np.zeros(field.labels.shape, dtype=bool)
    assert plan.size is not None
    for tile in grid(field.labels.shape, plan.size, plan.halo_of(plan.size)):
        r0, c0, r1, c1 = tile.core
        seam[r0:r1, [c0, c1 - 1]] = seam[[r0, r1 - 1], c0:c1] = True
    numbers = np.unique(field.labels[seam])
    return np.isin(np.arange(1, field.count + 1), numbers)
