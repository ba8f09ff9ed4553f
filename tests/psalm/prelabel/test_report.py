from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from psalm.conditions import CategoryCondition
from psalm.prelabel import prelabel
from psalm.prelabel.report import seconds, write_page
from psalm.prelabel.summary import summarise
from psalm.store import AnnotationStore, NewObject

CELLS = CategoryCondition(["cell", "<b>coin</b>"])


@pytest.fixture
def dataset(folder, tmp_path, predictor):
    (folder / "bad.png").touch()
    prelabel(folder, tmp_path / "out", [CELLS], predictor)
    with AnnotationStore.open(tmp_path / "out") as store:
        yield store


def test_the_numbers_are_those_of_the_dataset(dataset):
    image = dataset.find_image("image-000.png")
    dataset.add_objects(image.id, [NewObject(1, np.ones(image.size, dtype=bool), score=1.0)])
    summary = summarise(dataset, pictures=2)
    assert (summary.images, summary.objects, summary.empty) == (8, 19, 1)
    by_name = {each.category.name: each for each in summary.classes}
    assert (by_name["cell"].objects, by_name["cell"].images) == (10, 6)
    assert sum(by_name["cell"].scores) == 10 and by_name["cell"].scores[19] == 1
    assert by_name["cell"].scores[17] == 5 and by_name["<b>coin</b>"].scores[6] == 5  # just below 0.9, and 0.3
    assert summary.most_certain[0].image.path == "image-000.png" and len(summary.most_certain) == 2
    assert summary.most_certain[0].certainty == 1.0
    assert not {r.image.id for r in summary.most_certain} & {r.image.id for r in summary.least_certain}
    assert [failure.file_name for failure in summary.failures] == ["bad.png"]
    assert summary.runs[0].images == 7 and summary.runs[0].failed == 1


def test_an_image_is_shown_once(dataset):
    summary = summarise(dataset, pictures=20)
    shown = [rated.image.id for rated in (*summary.most_certain, *summary.least_certain)]
    assert len(shown) == len(set(shown)) == 5  # all that have objects


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe")
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_else(dataset, tmp_path):
    path = write_page(dataset, tmp_path / "page.html", pictures=3)
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert len(page.sources) == 5 and all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "url(" not in path.read_text(encoding="utf-8")
    assert "<b>coin</b>" in page.text  # as text, not as a tag
    assert "bad.png" in page.text and "is empty, it has 0 bytes" in page.text
    assert re.search(r"cell, <b>coin</b>\s+fake", page.text)


def test_an_empty_dataset_and_lost_images(folder, dataset, tmp_path):
    for path in folder.rglob("*.png"):
        path.unlink()
    assert "cannot be read any more" in write_page(dataset, tmp_path / "page.html").read_text()
    with AnnotationStore.create(tmp_path / "empty", folder) as store:
        assert "Nothing was found yet" in write_page(store, tmp_path / "empty.html").read_text()


def test_durations():
    assert [seconds(value) for value in (0.52, 99, 300, 7265)] == ["0.5 s", "99.0 s", "5 min", "2 h 1 min"]
