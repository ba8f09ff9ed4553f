"""Following objects: by the published rules with a model of the published kind, else as the library does."""

from __future__ import annotations

import numpy as np
import torch

from psalm.config import PSALMConfig
from psalm.evaluation import following
from tests.psalm.data.published_layouts import CAT, DOG


def test_the_memory_follows_the_published_rules(monkeypatch):
    """Frame 1 is clear, in frame 2 the objects are confused, in frame 3 one is lost, frame 4 is clear again."""
    moved = np.roll(CAT, 2, 1)
    seen = {1: [moved, DOG], 2: [DOG, DOG], 3: [np.zeros_like(CAT), DOG], 4: [moved, DOG]}
    asked = []

    class Image:
        def __init__(self, number):
            self.number = number

    monkeypatch.setattr(following.EncodedImage, "of", lambda predictor, image: Image(int(image[0, 0, 0])))

    def ask(predictor, image, reference, regions):
        asked.append((image.number, reference.number, (regions[0] == moved).all()))
        return np.stack(seen[image.number])

    monkeypatch.setattr(following, "_ask", ask)
    predictor = type("Published", (), {"config": PSALMConfig.small(mask_generator="mask2former")})()
    frames = [np.full((60, 80, 3), number, np.uint8) for number in range(5)]
    found = list(following.follow_objects(predictor, frames.__getitem__, 5, CAT * 3 + DOG * 7))
    # frame 2 asks with frame 1's masks; they stay in memory for 3; then the given ones for 4
    assert asked == [(1, 0, False), (2, 1, True), (3, 1, True), (4, 0, False)]
    assert [sorted(np.unique(labels)) for labels in found] == [[0, 3, 7], [0, 7], [0, 7], [0, 3, 7]]


def test_a_model_of_the_published_kind_answers_every_frame():
    from psalm.modeling.psalm import PSALM
    from psalm.predictor import PSALMPredictor

    class Letters:
        def get_vocab(self):
            return {"[SEG]": 1}

        def encode(self, text, add_special_tokens):
            return [2 + ord(letter) % 90 for letter in text]

    torch.manual_seed(0)
    config = PSALMConfig.small(mask_generator="mask2former", max_length=1024)
    predictor = PSALMPredictor(PSALM(config), Letters())
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (3, 60, 80, 3), dtype=np.uint8)
    found = list(following.follow_objects(predictor, frames.__getitem__, 3, CAT * 3 + DOG * 7))
    assert len(found) == 2 and all(labels.shape == (60, 80) and set(np.unique(labels)) <= {0, 3, 7} for labels in found)
