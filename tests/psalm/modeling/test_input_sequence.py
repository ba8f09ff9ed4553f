"""The parts of the language model's input lie where the record says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psalm.errors import ConditionError
from psalm.modeling.input_sequence import InputSequence, assemble
from psalm.prompts import IMAGE, MASK_TOKENS, REGION, Prompt

CATEGORIES = Prompt((5, IMAGE, 6, 11, 12, 7, 13, MASK_TOKENS, 9), ((3, 5), (6, 7)), "categories")
LONG = Prompt((5, IMAGE, 6, 11, 12, 14, 15, 7, 13, MASK_TOKENS, 9), ((3, 7), (8, 9)), "categories")
REGIONS = Prompt((5, IMAGE, REGION, 6, REGION, MASK_TOKENS, 9), ((2, 3), (4, 5)), "regions")


def embed(ids: Tensor) -> Tensor:
    """Token id i becomes the vector (i, i)."""
    return ids[:, None].expand(-1, 2).float()


def tokens(first: int, count: int, batch: int = 1) -> Tensor:
    values = torch.arange(first, first + batch * count).reshape(batch, count)
    return values[..., None].expand(-1, -1, 2).float()


def values(sequence: InputSequence, b: int = 0) -> list[int]:
    return sequence.embeddings[b, :, 0].int().tolist()


def test_placeholders_give_way_to_their_tokens() -> None:
    sequence = assemble([CATEGORIES], embed, tokens(100, 4), tokens(200, 3))
    assert values(sequence) == [5, 100, 101, 102, 103, 6, 11, 12, 7, 13, 200, 201, 202, 9]
    assert sequence.conditions == (((6, 8), (9, 10)),)
    assert sequence.mask_tokens == ((10, 13),)
    assert sequence.mask_token_states(sequence.embeddings)[0, :, 0].tolist() == [200, 201, 202]


def test_regions_come_in_order() -> None:
    sequence = assemble([REGIONS], embed, tokens(100, 2), tokens(200, 1), tokens(300, 3))
    assert values(sequence) == [5, 100, 101, 300, 6, 301, 200, 9]
    assert sequence.conditions == (((3, 4), (5, 6)),)


def test_a_batch_is_padded_on_the_right() -> None:
    sequence = assemble([CATEGORIES, LONG], embed, tokens(100, 4, 2), tokens(200, 3, 2))
    assert sequence.lengths == (14, 16)
    assert values(sequence)[14:] == [0, 0]
    assert values(sequence, 1)[:5] == [5, 104, 105, 106, 107]
    assert sequence.mask_tokens == ((10, 13), (12, 15))
    assert sequence.mask_token_states(sequence.embeddings)[1, :, 0].tolist() == [203, 204, 205]


def test_mask_tokens_that_only_pad_stay_out_of_the_sequence() -> None:
    sequence = assemble([CATEGORIES] * 2, embed, tokens(100, 4, 2), tokens(200, 3, 2), num_mask_tokens=[1, 3])
    assert values(sequence)[10:] == [200, 9, 0, 0]
    assert sequence.mask_token_states(sequence.embeddings)[..., 0].tolist() == [[200, 0, 0], [203, 204, 205]]


def test_missing_regions_are_an_error() -> None:
    with pytest.raises(ConditionError, match="placeholder"):
        assemble([REGIONS], embed, tokens(100, 2), tokens(200, 1))


@pytest.mark.parametrize("kind", ["words", "regions"])
def test_a_batch_equals_its_prompts_alone(kind: str) -> None:
    more = Prompt((IMAGE, 6, REGION, 8, REGION, 4, REGION, MASK_TOKENS), ((2, 3), (4, 5), (6, 7)), "regions")
    prompts = [LONG, CATEGORIES, LONG] if kind == "words" else [REGIONS, more, REGIONS]
    image, mask, regions = tokens(100, 4, 3), tokens(200, 5, 3), tokens(300, 3, 3)
    given, counts = regions if kind == "regions" else None, [2, 5, 0]
    batch = assemble(prompts, embed, image, mask, given, counts)
    states = batch.mask_token_states(batch.embeddings)
    for b, prompt in enumerate(prompts):
        one = slice(b, b + 1)
        alone = assemble([prompt], embed, image[one], mask[one], None if given is None else given[one], [counts[b]])
        length = batch.lengths[b]
        assert length == alone.lengths[0] == alone.embeddings.shape[1]
        assert torch.equal(batch.embeddings[b, :length], alone.embeddings[0]) and not batch.embeddings[b, length:].any()
        assert (batch.mask_tokens[b], batch.conditions[b]) == (alone.mask_tokens[0], alone.conditions[0])
        assert torch.equal(states[b, : counts[b]], mask[b, : counts[b]]) and not states[b, counts[b] :].any()


def test_more_placeholders_than_regions_are_an_error() -> None:
    with pytest.raises(ConditionError, match="placeholder"):
        assemble([REGIONS], embed, tokens(100, 2), tokens(200, 1), tokens(300, 1))


def test_tokens_get_their_gradient_and_nothing_else_does() -> None:
    image, mask = tokens(100, 4, 2).requires_grad_(), tokens(200, 3, 2).requires_grad_()
    sequence = assemble([CATEGORIES, LONG], embed, image, mask, num_mask_tokens=[1, 3])
    (sequence.embeddings * 2).sum().backward()
    assert image.grad is not None and mask.grad is not None
    assert (image.grad == 2).all() and mask.grad[..., 0].tolist() == [[2, 0, 0], [2, 2, 2]]
