"""cIoU, gIoU and the absence of targets: by hand, and cIoU as torchmetrics has it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psalm.conditions import Task
from psalm.data.grefcoco import GRefCoco
from psalm.data.refcoco import RefCoco
from psalm.errors import ConditionError
from psalm.evaluation.engine import run_benchmark
from psalm.evaluation.referring_benchmarks import ReferringBenchmark, no_target_figures
from tests.psalm.data.published_layouts import CAT, DOG, make_grefcoco, make_refer
from tests.psalm.evaluation.answering import told

HALF_CAT = CAT & (np.arange(80) < 20)


def refcoco(root, **options):
    return ReferringBenchmark("refcoco", "train", RefCoco(make_refer(root), split="train"), **options)


def test_published_asks_all_sentences_at_once(tmp_path):
    predictor = told({"the left cat. cat.": [(HALF_CAT, 0.9)], "big dog.": [(DOG, 0.9)]})
    result = run_benchmark(refcoco(tmp_path), predictor)
    # intersections 200 and 600, unions 400 and 600
    assert result["overall"] == {
        "references": 2, "ciou": pytest.approx(800 / 1000), "giou": pytest.approx(0.75), "precision_50": 1,
        "precision_70": 0.5, "precision_90": 0.5,
    }  # fmt: skip
    assert {task for _, _, task, _ in predictor.asked} == {Task.REFERRING}
    assert result["items"] == 1 and "all sentences" in result["notes"][0]


def test_the_paper_asks_each_sentence(tmp_path):
    predictor = told({"the left cat": [(CAT, 0.9)], "cat.": [(HALF_CAT, 0.9)], "big dog": []})
    result = run_benchmark(refcoco(tmp_path, protocol="paper"), predictor)
    assert result["overall"]["sentences"] == 3
    assert result["overall"]["giou"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert result["overall"]["ciou"] == pytest.approx((400 + 200) / (400 + 400 + 600))


def test_ciou_is_the_iou_of_all_pixels_together(tmp_path):
    from torchmetrics.classification import BinaryJaccardIndex

    rng = np.random.default_rng(0)
    answers = {"the left cat. cat.": rng.random(CAT.shape) < 0.3, "big dog.": DOG | (rng.random(DOG.shape) < 0.1)}
    result = run_benchmark(refcoco(tmp_path), told({text: [(mask, 0.9)] for text, mask in answers.items()}))
    together, alone = BinaryJaccardIndex(), []
    for answer, truth in zip(answers.values(), (CAT, DOG), strict=True):
        together.update(torch.tensor(answer), torch.tensor(truth))
        alone.append(float(BinaryJaccardIndex()(torch.tensor(answer), torch.tensor(truth))))
    assert result["overall"]["ciou"] == pytest.approx(float(together.compute()))
    assert result["overall"]["giou"] == pytest.approx(np.mean(alone))


def grefcoco(root, protocol):
    return ReferringBenchmark("grefcoco", "val", GRefCoco(make_grefcoco(root), "val"), protocol)


def test_generalised_by_hand(tmp_path):
    spoken = {
        "the cat.": [(CAT, 0.9)],
        "both animals. the pets.": [(CAT, 0.9), (DOG, 0.8)],
        "the elephant.": [(DOG, 0.3)],
    }
    predictor = told(spoken)
    overall = run_benchmark(grefcoco(tmp_path, "published"), predictor)["overall"]
    # the weak dog counts as the answer to the elephant: IoU 0, 600 pixels of union
    assert overall["giou"] == pytest.approx(2 / 3) and overall["ciou"] == pytest.approx(1400 / 2000)
    assert overall["no_target_accuracy"] == 0 and overall["target_accuracy"] == 1 and overall["without_target"] == 1
    options = [options for _, _, _, options in predictor.asked]
    assert all(each["thresholds"].score == 0.6 and "score_threshold" not in each for each in options)


def test_the_paper_may_find_no_target(tmp_path):
    predictor = told({"the cat": [(CAT, 0.9)], "both animals": [(CAT, 0.9)], "the pets": [(DOG, 0.5)],
                      "the elephant": [(DOG, 0.3)]})  # fmt: skip
    overall = run_benchmark(grefcoco(tmp_path, "paper"), predictor)["overall"]
    # the cat is right, one of two pets is 400 of 1000, the pets are overlooked, the elephant is rightly not there
    assert overall["giou"] == pytest.approx((1 + 0.4 + 0 + 1) / 4)
    assert overall["ciou"] == pytest.approx((400 + 400) / (400 + 1000 + 1000))
    assert overall["no_target_accuracy"] == 1 and overall["target_accuracy"] == pytest.approx(2 / 3)
    assert {task for _, _, task, _ in predictor.asked} == {Task.GENERALISED_REFERRING}


def test_what_counts_as_an_empty_answer():
    # intersection, union, truth: empty for a target; beside the target; empty for none; something for none
    rows = [(0, 50, 50), (0, 90, 50), (0, 0, 0), (0, 40, 0)]
    figures = no_target_figures(rows)
    assert figures == {"without_target": 2, "no_target_accuracy": 0.5, "target_accuracy": 0.5}
    assert no_target_figures(rows[:2])["no_target_accuracy"] is None


def test_an_unknown_protocol_is_named(tmp_path):
    with pytest.raises(ConditionError, match="choose one of published, paper"):
        refcoco(tmp_path, protocol="mine")
