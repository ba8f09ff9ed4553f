from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_psalm.core.kept_masks import KeptMasks
from psalm.decoding.query_masks import QueryMasks
from psalm.image_transform import Frame


@pytest.mark.parametrize(
    "frame", [Frame((90, 70), (64, 50), 64), Frame((40, 300), (9, 64), 64), Frame((1, 1), (64, 64), 64)]
)
def test_masks_are_those_of_the_library_at_any_threshold(frame: Frame) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (6, 16, 16)).astype(np.float32)
    logits[2] = -9
    logits[3, :, :13] = -9
    kept = KeptMasks(logits, frame)
    for query in range(6):
        whole = QueryMasks(torch.from_numpy(logits), frame).logits(query).numpy()
        for probability in (0.2, 0.5, 0.8):
            mask = np.zeros(frame.original, dtype=bool)
            crop = kept.crop(query)
            if crop is not None:
                height, width = crop.levels.shape
                mask[crop.row : crop.row + height, crop.column : crop.column + width] = crop.at_least(probability)
            level = np.round(np.log(probability / (1 - probability)) * 16) / 16
            near = np.abs(whole - level) < 1e-4
            np.testing.assert_array_equal(mask[~near], (whole > level)[~near])


def test_what_no_threshold_can_choose_is_not_kept() -> None:
    logits = np.full((1, 16, 16), -9, dtype=np.float32)
    assert KeptMasks(logits, Frame((90, 70), (64, 50), 64)).crop(0) is None
    logits[0, 8, 8] = 3
    crop = KeptMasks(logits, Frame((90, 70), (64, 50), 64)).crop(0)
    assert crop is not None
    assert crop.levels.size < 900


def test_probabilities_follow_the_logits() -> None:
    logits = np.full((1, 16, 16), 2.0, dtype=np.float32)
    crop = KeptMasks(logits, Frame((64, 64), (64, 64), 64)).crop(0)
    assert crop is not None
    np.testing.assert_allclose(crop.probabilities(), 1 / (1 + np.exp(-2)), atol=1e-6)
