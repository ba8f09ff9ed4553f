from __future__ import annotations

import numpy as np
import pytest

from psalm.data.careful_prompts import careful_prompt
from psalm.data.prompts import (
    KINDS,
    click,
    jittered_box,
    rough_mask,
    scribble,
    simulate_exclusions,
    simulate_priors,
)
from psalm.data.scenes import SceneSamples

SCENES = SceneSamples(12, seed=5, size=(160, 224))
MASKS = [mask for scene in map(SCENES.labelled, range(12)) for mask in scene.decode(range(len(scene.things)))][::3]
GENERATOR = np.random.default_rng


def _dot() -> np.ndarray:
    mask = np.zeros((30, 30), dtype=bool)
    mask[29, 29] = True
    return mask


@pytest.mark.parametrize("seed", range(3))
def test_clicks_and_scribbles_lie_on_their_objects(seed: int) -> None:
    for mask in [*MASKS, _dot()]:
        assert mask[click(mask, GENERATOR(seed))]
        line = scribble(mask, GENERATOR(seed)).astype(int)
        assert line.shape[1] == 2 and len(line) >= 2
        assert mask[line[:, 0], line[:, 1]].all()


def test_clicks_prefer_the_middle() -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[10:90, 10:90] = True
    clicks = np.array([click(mask, GENERATOR(seed)) for seed in range(200)])
    inner = (np.abs(clicks - 50) < 20).all(axis=1).mean()
    assert 0.4 < inner < 0.95


@pytest.mark.parametrize("seed", range(3))
def test_boxes_are_off_by_at_most_a_tenth(seed: int) -> None:
    for mask in [*MASKS, _dot()]:
        r0, c0, r1, c1 = jittered_box(mask, GENERATOR(seed))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
        assert 0 <= r0 < r1 <= mask.shape[0] and 0 <= c0 < c1 <= mask.shape[1]
        assert max(abs(r0 - rows[0]), abs(r1 - rows[-1] - 1)) <= 0.1 * height + 1
        assert max(abs(c0 - columns[0]), abs(c1 - columns[-1] - 1)) <= 0.1 * width + 1


def test_rough_masks_are_near_their_objects() -> None:
    overlaps = []
    for seed, mask in enumerate(MASKS):
        rough = rough_mask(mask, GENERATOR(seed))
        overlaps.append((rough & mask).sum() / (rough | mask).sum())
    assert min(overlaps) > 0.1 and np.mean(overlaps) > 0.7
    assert any(overlap < 0.97 for overlap in overlaps)


@pytest.mark.parametrize("kind", KINDS)
def test_each_region_touches_its_object(kind: str) -> None:
    masks = np.stack(MASKS[:6])
    condition = simulate_priors(masks, GENERATOR(0), [kind] * len(masks))
    assert condition.kinds == (kind,) * len(masks)
    assert (condition.masks & masks).any(axis=(1, 2)).all()


def test_a_share_of_the_regions_is_drawn_with_care() -> None:
    masks = np.stack(MASKS[:10])
    boxes = [careful_prompt(mask, "box", 10).masks[0] for mask in masks]

    def exact(careful: float) -> int:
        drawn = [simulate_priors(masks, GENERATOR(seed), ["box"] * 10, careful=careful).masks for seed in range(6)]
        return sum(np.array_equal(one, box) for regions in drawn for one, box in zip(regions, boxes, strict=True))

    assert exact(1.0) == 60 > exact(0.5) > exact(0.0)


@pytest.mark.parametrize("seed", range(8))
def test_exclusions_lie_close_by_and_on_nothing_that_is_asked(seed: int) -> None:
    scene = next(scene for scene in map(SCENES.labelled, range(12)) if len(scene.things) > 3)
    masks = scene.decode(range(len(scene.things)))
    asked, others = masks[:2], masks[2:]
    excluded = simulate_exclusions(asked, others, GENERATOR(seed), radius=4)
    assert excluded is not None and 1 <= len(excluded) <= 3
    assert excluded.any(axis=(1, 2)).all()
    assert not (excluded & asked.any(axis=0)).any()


def test_where_everything_is_asked_for_nothing_is_excluded() -> None:
    everything = np.ones((1, 20, 20), dtype=bool)
    assert simulate_exclusions(everything, everything[:0], GENERATOR(0)) is None


def test_the_radius_is_the_callers() -> None:
    masks = np.stack(MASKS[:1])
    small, large = (simulate_priors(masks, GENERATOR(0), ["point"], point_radius=radius) for radius in (2, 8))
    assert small.masks.sum() < large.masks.sum() <= np.pi * 9**2
    thin, thick = (simulate_priors(masks, GENERATOR(0), ["scribble"], scribble_radius=radius) for radius in (1, 6))
    assert thin.masks.sum() < thick.masks.sum()


def test_the_same_generator_draws_the_same() -> None:
    masks = np.stack(MASKS[:5])
    first, second = (simulate_priors(masks, GENERATOR(3)) for _ in range(2))
    assert first.kinds == second.kinds and (first.masks == second.masks).all()
