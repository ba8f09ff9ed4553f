"""Results as text, as Markdown beside published figures, and as pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from psalm.data.refcoco import RefCoco
from psalm.errors import OutputError
from psalm.evaluation import format_markdown, format_report, run_benchmark
from psalm.evaluation.benchmark import Picture
from psalm.evaluation.opening import BENCHMARKS
from psalm.evaluation.pictures import draw_page, ranked, write_pictures
from psalm.evaluation.published_results import RESULTS, published_results
from psalm.evaluation.referring_benchmarks import ReferringBenchmark
from tests.psalm.data.published_layouts import CAT, DOG, make_refer
from tests.psalm.evaluation.answering import told


@pytest.fixture
def benchmark(tmp_path):
    return ReferringBenchmark("refcoco", "val", RefCoco(make_refer(tmp_path), split="val"))


@pytest.fixture
def result(benchmark):
    return run_benchmark(benchmark, told({"the dog.": [(DOG, 0.9)]})) | {"model": "mine"}


def test_markdown_puts_published_figures_beside_ours(result):
    lines = format_markdown(result).splitlines()
    assert lines[0] == "# refcoco val" and "| model | cIoU | gIoU | source |" in lines
    assert "| **mine** | 100.0 | 100.0 | measured |" in lines
    psalm = next(line for line in lines if line.startswith("| PSALM"))
    # cells that nobody has published stay empty
    assert psalm.startswith("| PSALM (all sentences in one prompt) | 83.6 |  | [")
    number = psalm.split("[")[1].split("]")[0]
    assert f"[{number}] Zhang et al., EVF-SAM, arXiv 2406.20076, table 1" in lines


def test_markdown_of_what_nobody_published(result):
    text = format_markdown(result | {"benchmark": "mine", "per_prompt": {"point": {"miou": 0.5, "objects": 4}}})
    assert "[1]" not in text and "| point | 50.0 | 4 |" in text and "## By prompt" in text
    assert "| a\\|b | 25.0 |" in format_markdown(result | {"per_category": {"a|b": {"iou": 0.25}}})
    assert "... and 2 more" in format_markdown(result | {"per_category": {str(i): {"iou": 1.0} for i in range(5)}}, 3)


def test_a_report_shows_every_table(result):
    text = format_report(result | {"per_video": {"walk": {"j_mean": 0.25}}})
    assert "refcoco, val, 1 items" in text and "0.2500" in text and "Note: As the published script" in text


def test_published_results_belong_to_benchmarks_and_say_where_they_were_read():
    for each in RESULTS:
        assert each.benchmark in BENCHMARKS and each.source and each.figures
        assert all(0 < value < 100 for value in each.figures.values())
    keys = [(each.model, each.benchmark, each.split) for each in RESULTS]
    assert len(keys) == len(set(keys))
    assert [each.figures["ciou"] for each in published_results("refcocog", "test") if each.model == "PSALM"] == [74.4]
    assert published_results("refcoco", "train") == []


def test_cases_are_ranked_without_repeats():
    qualities = [0.5, 0.9, None, 0.1, 0.7, 0.3, 0.6, 0.2, 0.8]
    records = {item: {"quality": quality} for item, quality in enumerate(qualities)}
    assert ranked(records, 2) == {"best": [1, 8], "median": [6, 0], "worst": [7, 3]}
    assert ranked({item: records[item] for item in (0, 1, 3)}, 2) == {"best": [1, 0], "median": [], "worst": [3]}
    assert ranked({}, 2) == {"best": [], "median": [], "worst": []}


def test_pictures_show_truth_and_answer(benchmark, tmp_path):
    predictor = told({"the dog.": [(CAT, 0.9)]})
    records = dict(enumerate(benchmark.ask([0], predictor)))
    path = write_pictures(tmp_path / "cases.png", benchmark, predictor, records)
    page = np.asarray(Image.open(path))
    assert page.shape == (22 + 8 + 22 + 225 + 8, 3 * 300 + 4 * 8, 3)
    top = 22 + 8 + 22
    image, truth, answer = (page[top : top + 60, 8 + i * 308 : 8 + i * 308 + 80].astype(int) for i in range(3))
    coloured = [np.abs(shown - image).sum(axis=-1) > 60 for shown in (truth, answer)]
    assert (coloured[0] == DOG).mean() > 0.95 and (coloured[1] == CAT).mean() > 0.95
    with pytest.raises(OutputError):
        write_pictures(tmp_path / "cases.png" / "x.png", benchmark, predictor, records)


def test_long_captions_fit_on_the_page():
    nothing = np.zeros((0, 60, 80), bool)
    page = draw_page([("best, 90.0", Picture(np.full((60, 80, 3), 9, np.uint8), nothing, nothing, "a \u732b " * 200))])
    assert (page[30:52, -8:] == 255).all()
