"""J and F of DAVIS: the contour measure against dilation with a disk, and the protocol by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.morphology import dilation, disk

from psalm.data.davis import Davis
from psalm.evaluation.boundary import contour, contour_accuracy, region_similarity
from psalm.evaluation.engine import run_benchmark
from psalm.evaluation.video_benchmark import VideoBenchmark, object_figures
from tests.psalm.data.published_layouts import CAT, DOG, make_davis


def slow_contour(mask):
    """Pixel by pixel, as the definition says."""
    edge = np.zeros_like(mask)
    height, width = mask.shape
    for row in range(height):
        for column in range(width):
            others = [(row, column + 1), (row + 1, column), (row + 1, column + 1)]
            edge[row, column] = any(mask[r, c] != mask[row, column] for r, c in others if r < height and c < width)
    edge[-1, -1] = False
    return edge


def slow_accuracy(answer, truth):
    """With contours made thick, as the published evaluation of DAVIS does it."""
    found, wanted = slow_contour(answer), slow_contour(truth)
    shape = disk(math.ceil(0.008 * np.linalg.norm(truth.shape)))
    precision = (found & (dilation(wanted, shape) > 0)).sum() / found.sum()
    recall = (wanted & (dilation(found, shape) > 0)).sum() / wanted.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(6))
def test_contour_accuracy_equals_dilation_with_a_disk(seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:70, :90]
    truth = (rows - 35) ** 2 / 400 + (columns - 40) ** 2 / 700 < 1
    answer = np.roll(truth, rng.integers(-4, 5, 2), (0, 1)) ^ (rng.random(truth.shape) < 0.01)
    assert (contour(answer) == slow_contour(answer)).all()
    ours = contour_accuracy(answer, truth)
    assert 0.1 < ours < 1 and ours == pytest.approx(slow_accuracy(answer, truth))


def test_empty_masks():
    nothing = np.zeros_like(CAT)
    assert contour_accuracy(nothing, nothing) == region_similarity(nothing, nothing) == 1
    for pair in ((CAT, nothing), (nothing, CAT)):
        assert contour_accuracy(*pair) == region_similarity(*pair) == 0
    assert contour_accuracy(CAT, CAT) == 1 and contour_accuracy(CAT, np.roll(CAT, 30, 1)) == 0


def test_figures_of_an_object():
    figures = object_figures([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert figures == {"mean": pytest.approx(0.65), "recall": 5 / 8, "decay": pytest.approx(0.95 - 0.35)}
    assert object_figures([])["mean"] is None


def stay(predictor, frame, count, first):
    """Objects never move."""
    assert frame(1)[0, 0, 0] == 11 and frame(1).shape == (60, 80, 3)
    yield from [first] * (count - 1)


def test_the_first_and_the_last_frame_are_left_out(tmp_path):
    reader = Davis(make_davis(tmp_path, frames=5), "val")
    result = run_benchmark(VideoBenchmark("val", reader, stay), None)
    overall = result["overall"]
    # the cat, 20 columns wide, walks a column per frame: frames 1, 2 and 3 count
    walking = [(20 - n) / (20 + n) for n in (1, 2, 3)]
    assert overall["objects"] == 2 and overall["videos"] == 1
    assert overall["j_mean"] == pytest.approx((np.mean(walking) + 1) / 2)
    contours = [contour_accuracy(CAT, np.roll(CAT, n, 1)) for n in (1, 2, 3)]
    assert overall["f_mean"] == pytest.approx((np.mean(contours) + 1) / 2)
    assert overall["j_and_f"] == pytest.approx((overall["j_mean"] + overall["f_mean"]) / 2)
    assert overall["j_recall"] == 1 and result["per_video"]["walk"]["objects"] == 2


def test_a_picture_shows_the_frame_in_the_middle(tmp_path):
    benchmark = VideoBenchmark("val", Davis(make_davis(tmp_path), "val"), stay)
    picture = benchmark.picture(0, None)
    assert picture.image[0, 0, 0] == 12 and picture.caption == "walk, frame 2"
    assert (picture.truth == np.stack([np.roll(CAT, 2, 1), DOG])).all() and (picture.answer[0] == CAT).all()


def test_the_published_way_follows_with_a_real_model(tmp_path):
    from psalm.predictor import PSALMPredictor

    reader = Davis(make_davis(tmp_path, frames=3), "val")
    result = run_benchmark(VideoBenchmark("val", reader), PSALMPredictor.from_pretrained("psalm-tiny", device="cpu"))
    assert 0 <= result["overall"]["j_mean"] <= 1 and result["overall"]["objects"] == 2
