"""What models remember of objects: the published way, exactly, and the small model's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psalm.conditions import Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.video import distinct_queries, region_scores
from psalm.encoded import EncodedImage, remembered
from psalm.errors import ConditionError
from psalm.modeling.features import Regions
from psalm.modeling.psalm import PSALM
from psalm.modeling.region_sampler import pool_masks
from psalm.predictor import PSALMPredictor
from psalm.video.followers import DraftFollower, PublishedFollower, follower_for

SIZE = (60, 80)


class Letters:
    """A tokenizer with one token per letter."""

    def get_vocab(self) -> dict[str, int]:
        return {"[SEG]": 390}

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [ord(letter) % 128 for letter in text]


def make(**changes: object) -> PSALMPredictor:
    torch.manual_seed(0)
    return PSALMPredictor(PSALM(PSALMConfig.small(**changes)), Letters())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def published() -> PSALMPredictor:
    return make()


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


def discs(*centres: tuple[int, int]) -> dict[int, np.ndarray]:
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return {i: (rows - r) ** 2 + (columns - c) ** 2 < 80 for i, (r, c) in enumerate(centres, 5)}


@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_remembered_vectors_are_pooled_exactly(count: int):
    vectors = torch.randn(count, 8)
    reference, regions = remembered(vectors, 192)
    assert torch.equal(pool_masks(reference.image_tokens[0], regions.masks), vectors)


def test_the_published_way_asks_with_the_remembered_frame_as_reference(published: PSALMPredictor):
    masks = discs((20, 20), (40, 60))
    follower = PublishedFollower(published)
    follower.open(picture(0))
    follower.remember(masks)
    follower.open(picture(1))
    found = follower.look([5, 6])

    first, second = (EncodedImage.of(published, picture(i)) for i in (0, 1))
    regions = Regions(first.masks(np.stack(list(masks.values()))), ("mask", "mask"))
    prompt = published.prompts.build(Task.INTERACTIVE, VisualPriorCondition(np.stack(list(masks.values()))))
    with torch.inference_mode():
        proposals = published.model.propose(second.features, [prompt], [regions], reference=first.features)[-1]
        queries = QueryMasks(proposals.mask_logits[0], second.frame)
        scores = region_scores(queries, proposals.condition_logits[0])
        chosen = distinct_queries(scores)
    for column, (i, query) in enumerate(zip((5, 6), chosen, strict=True)):
        assert found[i].score == pytest.approx(float(scores[query, column]), abs=1e-5)
        assert (found[i].mask == queries.mask(query).numpy()).mean() > 0.999


def test_the_small_model_finds_an_object_again_where_it_was():
    predictor = make(mask_generator="two_way", backbone="tiny_vit")
    follower = follower_for(predictor)
    assert isinstance(follower, DraftFollower)
    follower.open(picture(0))
    follower.remember(discs((20, 20), (40, 60)))
    follower.open(picture(0))
    found = follower.look([5, 6])
    assert set(found) <= {5, 6}
    assert all(sight.mask.shape == SIZE and 0 <= sight.score <= 1 for sight in found.values())


def test_the_small_model_chooses_by_what_it_learnt():
    predictor = make(mask_generator="two_way", backbone="tiny_vit")
    follower = follower_for(predictor)
    assert isinstance(follower, DraftFollower)
    follower.open(picture(0))
    follower.remember(discs((20, 20)))
    follower.open(picture(1))
    found = follower.candidates([5])
    assert found.evidence.shape == (1, len(found.logits), 12)
    likest, nearest = (int(found.evidence[0, :, column].argmax()) for column in (7, 11))
    for column, expected in ((7, likest), (11, nearest)):
        with torch.no_grad():
            follower.sameness.weight.zero_()[column] = 50.0
        frame = follower._open.frame
        assert np.array_equal(follower.look([5])[5].mask, QueryMasks(found.logits, frame).mask(expected).numpy())


def test_where_an_object_is_found_does_not_lower_its_score():
    predictor = make(mask_generator="two_way", backbone="tiny_vit")
    follower = follower_for(predictor)
    assert isinstance(follower, DraftFollower)
    follower.open(picture(0))
    follower.remember(discs((20, 20)))
    near = follower.look([5])[5].score
    follower.locate(discs((50, 70)))
    with torch.no_grad():
        follower.sameness.weight[11] = 0.0
        follower.sameness.bias += 0.7 * 3.9
    assert follower.look([5])[5].score == pytest.approx(near, abs=0.05)


def test_a_model_without_drafts_has_nothing_to_compare(published: PSALMPredictor):
    with pytest.raises(ConditionError, match="small model"):
        DraftFollower(published)
