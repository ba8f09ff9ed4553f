from __future__ import annotations

import json

import numpy as np
import pytest

from psalm.conditions import CategoryCondition, SentenceCondition, VisualPriorCondition
from psalm.errors import ConditionError
from psalm.prelabel.questions import to_condition, to_prompt


@pytest.mark.parametrize(
    "condition",
    [CategoryCondition(["cell"]), CategoryCondition(["cell", "sky"], [True, False]), SentenceCondition("the cell")],
)
def test_what_is_recorded_can_be_asked_again(condition):
    assert to_condition(json.loads(json.dumps(to_prompt(condition)))) == condition


def test_regions_come_back_pixel_by_pixel():
    regions = VisualPriorCondition.from_points([[5, 6], [9, 20]], (20, 30), radius=3)
    again = to_condition(json.loads(json.dumps(to_prompt(regions))))
    assert np.array_equal(again.masks, regions.masks) and again.kinds == ("point", "point")


@pytest.mark.parametrize("prompt", [{"kind": "telepathy"}, {}, {"kind": "sentence"}, {"kind": "regions", "masks": [1]}])
def test_what_cannot_be_asked_again_is_refused(prompt):
    with pytest.raises(ConditionError, match=r"cannot be asked again|is damaged"):
        to_condition(prompt)
