"""mIoU and cIoU per kind of prompt."""

from __future__ import annotations

import numpy as np
import pytest

from psalm.data.interactive import KINDS, CocoInteractive, write_interactive
from psalm.errors import ConditionError
from psalm.evaluation.engine import run_benchmark
from psalm.evaluation.interactive_benchmark import InteractiveBenchmark
from tests.psalm.data.published_layouts import make_coco
from tests.psalm.evaluation.answering import Answering, echo


@pytest.fixture
def reader(tmp_path):
    make_coco(tmp_path)
    write_interactive(tmp_path / "annotations/instances_val2017.json", tmp_path / "coco_interactive_val_psalm.json")
    return CocoInteractive(tmp_path, "val")


def test_figures_per_kind(reader):
    result = run_benchmark(InteractiveBenchmark("val", reader, at_once=1), echo())
    for kind in KINDS:
        ious, both, either = [], 0, 0
        for index in range(len(reader)):
            for region, mask in zip(reader.prompts(index, kind), reader.masks(index), strict=True):
                ious.append((region & mask).sum() / (region | mask).sum())
                both, either = both + (region & mask).sum(), either + (region | mask).sum()
        figures = result["per_prompt"][kind]
        assert figures["objects"] == 4 and figures["miou"] == pytest.approx(np.mean(ious))
        assert figures["ciou"] == pytest.approx(both / either)
    means = [result["per_prompt"][kind]["miou"] for kind in KINDS]
    assert result["overall"]["miou"] == pytest.approx(np.mean(means)) and len(set(means)) == 4


def test_all_regions_of_an_image_share_a_prompt_unless_told_otherwise(reader):
    predictor = echo()
    result = run_benchmark(InteractiveBenchmark("val", reader, kinds=["box"]), predictor)
    assert [len(condition) for _, condition, _, _ in predictor.asked] == [2, 2]
    assert set(result["per_prompt"]) == {"box"} and result["per_prompt"]["box"]["objects"] == 4
    # the last region of each prompt is not answered and counts as zero
    assert result["per_prompt"]["box"]["iou_at_least_50"] == 0.5


def test_objects_without_a_prompt_are_noted(reader, monkeypatch):
    prompts = reader.prompts

    def without_first(index, kind):
        regions = prompts(index, kind).copy()
        regions[0] &= kind != "scribble"
        return regions

    monkeypatch.setattr(reader, "prompts", without_first)
    result = run_benchmark(InteractiveBenchmark("val", reader), Answering(lambda *_: []))
    assert result["per_prompt"]["scribble"]["objects"] == 2 and result["per_prompt"]["point"]["objects"] == 4
    assert "2 objects have no scribble: they are too small for one, and were not asked for." in result["notes"]


def test_wrong_use_is_named(reader):
    with pytest.raises(ConditionError, match="choose among"):
        InteractiveBenchmark("val", reader, kinds=["wave"])
    with pytest.raises(ConditionError, match="at least 1"):
        InteractiveBenchmark("val", reader, at_once=0)
