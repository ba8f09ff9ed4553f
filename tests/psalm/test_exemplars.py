"""Exemplars: remembered without their image, averaged, and found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psalm.appearance import Appearance, likeness
from psalm.conditions import CategoryCondition
from psalm.config import PSALMConfig
from psalm.errors import ConditionError
from psalm.exemplars import ExemplarPredictor, Exemplars, find_alike, mark_exemplars
from psalm.modeling.psalm import PSALM
from psalm.predictor import PSALMPredictor
from psalm.tiling import TilePlan, predict_tiled

SIZE = (90, 120)


class Letters:
    """A tokenizer with one token per letter."""

    def get_vocab(self) -> dict[str, int]:
        return {"[SEG]": 390}

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [ord(letter) % 128 for letter in text]


@pytest.fixture(scope="module", params=["mask2former", "two_way"])
def predictor(request: pytest.FixtureRequest) -> PSALMPredictor:
    torch.manual_seed(0)
    backbone = "tiny_vit" if request.param == "two_way" else "swin"
    config = PSALMConfig.small(mask_generator=request.param, backbone=backbone)
    return PSALMPredictor(PSALM(config), Letters())  # type: ignore[arg-type]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


def discs(*centres: tuple[int, int]) -> np.ndarray:
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return np.stack([(rows - r) ** 2 + (columns - c) ** 2 < 100 for r, c in centres])


def test_exemplars_are_found_with_scores_that_can_be_thresholded(predictor, image):
    exemplars = mark_exemplars(predictor, image, discs((30, 30)), "spot")
    everything = find_alike(predictor, image, [exemplars], score_threshold=0.0)
    assert list(everything.scores) == sorted(everything.scores, reverse=True)
    assert everything.names == ("spot",) * len(everything)
    assert len(everything)
    limit = float(np.median(everything.scores))
    fewer = find_alike(predictor, image, [exemplars], score_threshold=limit)
    assert len(fewer) == (everything.scores >= limit).sum()


def test_exemplars_of_several_images_count_alike(predictor, image):
    one = mark_exemplars(predictor, image, discs((30, 30)), "spot")
    other = mark_exemplars(predictor, image[::-1], discs((50, 80), (40, 20)), "spot")
    both = one.joined(other)
    assert (len(one), len(other), len(both)) == (1, 2, 3)
    first = find_alike(predictor, image, [both], 0.0)
    second = find_alike(predictor, image, [other.joined(one)], 0.0)
    assert np.allclose(first.scores, second.scores, atol=1e-4)


def test_each_object_gets_the_category_that_it_is_most_like(predictor, image):
    kinds = [mark_exemplars(predictor, image, discs((30, 30 + 60 * i)), name) for i, name in enumerate("ab")]
    found = find_alike(predictor, image, kinds, 0.0)
    assert [category.name for category in found.categories] == ["a", "b"]
    assert set(found.prompts) <= {"like a", "like b"}


def test_tiles_can_be_searched_for_exemplars(predictor, image):
    exemplars = mark_exemplars(predictor, image, discs((30, 30)), "spot")
    searcher, names = ExemplarPredictor(predictor, [exemplars]), CategoryCondition(["spot"])
    answer = predict_tiled(searcher, image, names, TilePlan(size=70), score_threshold=0)
    assert answer.looks == 4
    assert answer.objects.size == SIZE


def test_a_small_exemplar_is_also_kept_as_a_tile_shows_it(predictor, image):
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    small = ((rows - 30) ** 2 + (columns - 30) ** 2 < 9)[None]
    exemplars = mark_exemplars(predictor, image, small, "spot").joined(
        mark_exemplars(predictor, image, np.ones((1, *SIZE), dtype=bool), "spot")
    )
    size = ExemplarPredictor(predictor, [exemplars]).object_size
    if exemplars.appearance is None:
        assert exemplars.magnified is None and size is None
        return
    assert exemplars.magnified is not None and len(exemplars.magnified) == 2
    areas, near = exemplars.appearance.areas, exemplars.magnified.areas
    assert areas[0] == pytest.approx(small.sum(), rel=0.5) and near[0] == pytest.approx(small.sum(), rel=0.15)
    assert not torch.allclose(exemplars.appearance.looks[0][0], exemplars.magnified.looks[0][0])
    assert torch.equal(exemplars.appearance.looks[0][1], exemplars.magnified.looks[0][1])
    assert size == pytest.approx(float((4 * areas.min() / np.pi).sqrt()))


def test_what_does_not_fit_is_refused(predictor, image):
    exemplars = mark_exemplars(predictor, image, discs((30, 30)), "spot")
    with pytest.raises(ConditionError, match="no exemplar"):
        find_alike(predictor, image, [])
    with pytest.raises(ConditionError, match="with this model"):
        find_alike(predictor, image, [Exemplars("spot", "another", exemplars.appearance, exemplars.embeddings)])
    with pytest.raises(ConditionError, match="not of one kind"):
        exemplars.joined(Exemplars("cell", exemplars.model, exemplars.appearance, exemplars.embeddings))
    with pytest.raises(ConditionError, match="at the image's size"):
        mark_exemplars(predictor, image[:50], discs((30, 30)))


def test_what_looks_the_same_is_more_alike_than_what_differs():
    looks = tuple(torch.nn.functional.normalize(torch.randn(3, 3, 16), dim=-1))
    outlines = torch.nn.functional.normalize(torch.rand(3, 144), dim=-1)
    things = Appearance(looks, outlines, torch.tensor([100.0, 110.0, 5000.0]))
    logits = likeness(things, things, torch.full((3,), 0.9))
    assert (logits.argmax(dim=1) == torch.arange(3)).all()
    assert logits[0, 0] > likeness(things, things, torch.full((3,), 0.4))[0, 0]


def test_what_is_many_times_larger_is_no_like_however_much_it_looks_so():
    looks, outline = (torch.ones(1, 1),), torch.nn.functional.normalize(torch.ones(1, 144))
    sizes = torch.tensor([1.0, 4.0, 60.0])
    known = Appearance(looks, outline, torch.tensor([1000.0]))
    found = Appearance((torch.ones(3, 1),), outline.expand(3, -1), 1000 * sizes)
    equal, larger, background = likeness(known, found, torch.full((3,), 0.95))[0]
    assert equal.sigmoid() > 0.9 and larger.sigmoid() > 0.8
    assert background.sigmoid() < 0.4
