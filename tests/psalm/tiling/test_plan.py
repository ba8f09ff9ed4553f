"""How an image is cut."""

from __future__ import annotations

from psalm.config import PSALMConfig
from psalm.tiling import TilePlan

CONFIG = PSALMConfig.small(image_size=672)


def test_tiles_are_made_for_objects_that_a_plan_of_its_own_would_show_small():
    auto, field, slide = TilePlan(), (640, 640), (5000, 5000)
    assert auto.fitted(12, field, CONFIG) == TilePlan(object_size=12)
    assert auto.fitted(30, field, CONFIG) == auto
    assert auto.fitted(30, slide, CONFIG) == auto  # a tile shows them as they are
    assert auto.fitted(20, slide, CONFIG) == TilePlan(object_size=20)
    assert auto.fitted(None, slide, CONFIG) == auto


def test_what_was_said_by_hand_stays():
    for plan in (TilePlan(size=500), TilePlan(object_size=80)):
        assert plan.fitted(5, (5000, 5000), CONFIG) == plan
