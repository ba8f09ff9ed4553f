from __future__ import annotations

import threading
import time

import pytest

from psalm.conditions import CategoryCondition, SentenceCondition
from psalm.errors import ConditionError
from psalm.prelabel.batch_size import choose_batch_size, largest_batch
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.pipeline import HereEngine, Pipeline
from psalm.prelabel.questions import folder_prompts
from psalm.prelabel.records import Item
from tests.psalm.prelabel.fakes import FakePredictor, make_images

PROMPTS = folder_prompts([CategoryCondition(["cell"]), SentenceCondition("the right one")])


@pytest.fixture
def items(tmp_path):
    folder = make_images(tmp_path / "images", 10)
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    return folder, [Item(i + 1, path, 0, PROMPTS) for i, path in enumerate(paths)]


def test_batches_give_what_single_images_give(items):
    folder, items = items
    one = FakePredictor()
    many = FakePredictor()
    single = list(HereEngine(Labeller(one, folder)).outcomes(items))
    batched = list(HereEngine(Labeller(many, folder), 4).outcomes(items))
    assert [(each.item, each.objects) for each in batched] == [(each.item, each.objects) for each in single]
    assert one.batches == [1] * 10 and max(many.batches) == 4 and sum(many.batches) == 10


def test_a_batch_that_does_not_fit_is_halved(items):
    folder, items = items
    predictor = FakePredictor(largest_batch=2)
    outcomes = list(HereEngine(Labeller(predictor, folder), 8).outcomes(items))
    assert [each.error for each in outcomes] == [""] * 10
    assert max(predictor.batches) <= 2


def test_an_image_that_does_not_fit_fails_alone(items):
    folder, items = items
    outcomes = list(HereEngine(Labeller(FakePredictor(largest_batch=0), folder)).outcomes(items[:2]))
    assert all("more memory" in each.error for each in outcomes)


def test_images_with_other_prompts_are_not_mixed(items):
    folder, items = items
    other = folder_prompts([CategoryCondition(["coin"])])
    mixed = [Item(each.image_id, each.path, 0, other if i in (3, 4) else PROMPTS) for i, each in enumerate(items)]
    outcomes = list(HereEngine(Labeller(FakePredictor(), folder), 8).outcomes(mixed))
    for i, outcome in enumerate(outcomes):
        assert {found.category for found in outcome.objects} <= ({"coin"} if i in (3, 4) else {"cell", "the right one"})


def test_reading_runs_ahead_by_a_bounded_number(items, monkeypatch):
    folder, items = items
    taken: list[int] = []

    def source():
        for item in items:
            taken.append(item.image_id)
            yield item

    labeller = Labeller(FakePredictor(), folder)
    ahead = []
    for done, _ in enumerate(HereEngine(labeller).outcomes(source()), 1):
        ahead.append(len(taken) - done)
    assert 1 <= max(ahead) <= Pipeline(labeller)._ahead < 10


def test_the_model_works_while_images_are_read(items):
    folder, items = items
    predictor = FakePredictor(seconds=0.05)
    prepare, threads = predictor.prepare, set()

    def slow(image):
        threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return prepare(image)

    predictor.prepare = slow
    start = time.perf_counter()
    list(HereEngine(Labeller(predictor, folder)).outcomes(items))
    assert time.perf_counter() - start < 10 * 0.1  # one after the other
    assert all(name.startswith("psalm-read") for name in threads)


def test_a_question_that_no_image_can_be_asked_ends_the_run(items):
    folder, items = items
    predictor = FakePredictor()

    def refuse(*args, **kwargs):
        raise ConditionError("The class list is too long for this model.")

    predictor.predict_each = refuse
    with pytest.raises(ConditionError, match="too long"):
        list(HereEngine(Labeller(predictor, folder), 4).outcomes(items))


def test_a_sentence_has_to_be_good_enough(items):
    folder, items = items
    predictor = FakePredictor()
    list(HereEngine(Labeller(predictor, folder)).outcomes(items[:1]))
    list(HereEngine(Labeller(predictor, folder, 0.6)).outcomes(items[:1]))
    assert predictor.asked == [predictor.thresholds.score, 0.6]


def test_the_batch_fills_the_memory_but_not_more():
    gigabyte = 2**30

    def peak(count: int) -> int:
        return 2 * gigabyte + count * gigabyte

    assert largest_batch(20 * gigabyte, 2 * gigabyte, peak) == 8
    assert largest_batch(3 * gigabyte, 2 * gigabyte, peak) == 2
    assert largest_batch(gigabyte, 2 * gigabyte, peak) == 1
    assert largest_batch(10**15, 0, peak) == 32
    assert choose_batch_size(FakePredictor(), []) == 1
