from __future__ import annotations

import numpy as np

from napari_psalm.core.exclusions import find_exclusions, weigh
from napari_psalm.core.kept_masks import KeptMasks
from napari_psalm.core.patches import Patch
from psalm.image_transform import Frame

SHAPE = (20, 20)


def _masks(*boxes: tuple[int, int, int, int]) -> KeptMasks:
    logits = np.full((len(boxes), *SHAPE), -8, dtype=np.float32)
    for i, (row0, column0, row1, column1) in enumerate(boxes):
        logits[i, row0:row1, column0:column1] = 8
    return KeptMasks(logits, Frame(SHAPE, SHAPE, 20))


def _region(row: int, column: int, side: int = 2) -> np.ndarray:
    mask = np.zeros((1, *SHAPE), dtype=bool)
    mask[0, row : row + side, column : column + side] = True
    return mask


BOTH, LEFT, RIGHT = (5, 0, 15, 20), (5, 0, 15, 10), (5, 10, 15, 20)


def test_a_proposal_that_covers_an_exclusion_is_ranked_below_one_that_does_not() -> None:
    none = np.zeros((2, 0), dtype=np.float32)
    found = find_exclusions(_masks(BOTH, LEFT), _region(8, 15), none, _region(8, 2))
    weighed = weigh(np.array([[0.9], [0.5]], dtype=np.float32), found)
    assert weighed[0, 0] < weighed[1, 0] == np.float32(0.5)
    assert weighed[0, 0] > 0


def test_the_object_found_at_an_exclusion_is_cut_out_with_it() -> None:
    relevance = np.array([[0.1], [0.2], [0.9]], dtype=np.float32)
    found = find_exclusions(_masks(BOTH, LEFT, RIGHT), _region(8, 15), relevance, _region(8, 2))
    cut = found.cut(Patch(5, 0, np.ones((10, 20), dtype=bool)), 0)
    assert cut is not None
    assert cut.mask[:, :10].all()
    assert not cut.mask[:, 10:].any()


def test_an_object_that_holds_the_prompt_too_is_not_cut_out() -> None:
    relevance = np.array([[0.9], [0.2]], dtype=np.float32)
    found = find_exclusions(_masks(BOTH, LEFT), _region(8, 15), relevance, _region(8, 2))
    cut = found.cut(Patch(5, 0, np.ones((10, 20), dtype=bool)), 0)
    assert cut is not None
    assert cut.area == 200 - 4


def test_an_exclusion_does_not_count_for_the_prompt_that_it_lies_on() -> None:
    none = np.zeros((1, 0), dtype=np.float32)
    regions = np.concatenate([_region(8, 2), _region(8, 15)])
    found = find_exclusions(_masks(BOTH), _region(8, 15), none, regions)
    assert (found.of_part(0), found.of_part(1)) == ([0], [])
    weighed = weigh(np.ones((1, 2), dtype=np.float32), found)
    assert weighed[0, 1] == 1 > weighed[0, 0]


def test_without_exclusions_nothing_changes() -> None:
    found = find_exclusions(_masks(BOTH), None, np.zeros((1, 0), dtype=np.float32), None)
    relevance = np.ones((1, 3), dtype=np.float32)
    assert weigh(relevance, found) is relevance
