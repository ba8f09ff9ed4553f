"""Several images in one pass, each asked every condition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psalm.conditions import CategoryCondition, SentenceCondition
from psalm.config import PSALMConfig
from psalm.modeling.psalm import PSALM
from psalm.predictor import PSALMPredictor
from tests.psalm.test_predictor import Letters


@pytest.fixture(scope="module")
def predictor() -> PSALMPredictor:
    torch.manual_seed(0)
    return PSALMPredictor(PSALM(PSALMConfig.small()), Letters())  # type: ignore[arg-type]


def test_every_condition_is_asked_of_every_image_which_is_encoded_once(predictor, monkeypatch):
    images = [np.random.default_rng(i).integers(0, 255, (40, 60 + 8 * i), dtype=np.uint8) for i in range(2)]
    conditions = [CategoryCondition(["cell", "coin"]), SentenceCondition("the cell"), SentenceCondition("the coin")]
    expected = []
    for image in images:
        predictor.set_image(image)
        expected.append([predictor.predict(condition, score_threshold=0.0) for condition in conditions])
    encoded: list[int] = []
    encode = predictor.model.encode_image
    monkeypatch.setattr(predictor.model, "encode_image", lambda pixels: encoded.append(len(pixels)) or encode(pixels))
    found = predictor.predict_each([predictor.prepare(image) for image in images], conditions, score_threshold=0.0)
    assert encoded == [2]
    for answers, answers_alone in zip(found, expected, strict=True):
        for answer, alone in zip(answers, answers_alone, strict=True):
            assert answer.size == alone.size and len(answer) == len(alone)
            assert np.allclose(answer.scores, alone.scores, atol=1e-4)
            assert (answer.masks != alone.masks).mean() < 1e-3


def test_the_hash_of_the_weights_is_theirs_alone(predictor):
    first = predictor.weights_hash
    assert len(first) == 32 and first == PSALMPredictor(predictor.model, Letters()).weights_hash  # type: ignore[arg-type]
    torch.manual_seed(1)
    other = PSALMPredictor(PSALM(PSALMConfig.small()), Letters())  # type: ignore[arg-type]
    assert other.weights_hash != first
