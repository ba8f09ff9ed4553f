"""A class list in parts gives the scores of the whole list, where both can be had."""

from __future__ import annotations

import pytest
import torch

from psalm.decoding.class_lists import merge_parts
from psalm.errors import ConditionError
from psalm.proposals import MaskProposals


def blobs(count: int) -> torch.Tensor:
    """Masks (1, count, 8, 8) that do not touch each other."""
    masks = torch.full((1, count, 8, 8), -5.0)
    for i in range(count):
        masks[0, i, i] = 5.0
    return masks


def parts_of(masks: torch.Tensor, logits: torch.Tensor, sizes: tuple[int, ...]) -> list[MaskProposals]:
    """The same logits (1, Q, C + 1) as each part would say them: names of its own, and any constant added."""
    parts, start = [], 0
    for shift, size in enumerate(sizes):
        own = torch.cat([logits[..., start : start + size], logits[..., -1:]], dim=-1) + 7.0 * shift
        parts.append(MaskProposals(masks, own, (size + 1,)))
        start += size
    return parts


def test_the_same_masks_get_the_probabilities_of_one_list():
    torch.manual_seed(0)
    masks, logits = blobs(4), torch.randn(1, 4, 7) * 3
    merged = merge_parts(parts_of(masks, logits, (1, 3, 2)))
    assert merged.mask_logits.shape == (1, 12, 8, 8) and merged.num_conditions == (7,)
    whole = logits.softmax(dim=-1)[..., :-1]
    found = merged.condition_logits.softmax(dim=-1)[..., :-1].unflatten(1, (3, 4))
    # Each part answers for its own names, and no other part repeats them.
    torch.testing.assert_close(found.sum(dim=1), whole, rtol=0, atol=1e-5)
    assert torch.allclose(found[:, 0, :, 1:], torch.zeros(()), atol=1e-6)


def test_the_order_of_the_queries_does_not_matter():
    masks, logits = blobs(4), torch.randn(1, 4, 5)
    first, second = parts_of(masks, logits, (2, 2))
    turned = MaskProposals(second.mask_logits.flip(1), second.condition_logits.flip(1), second.num_conditions)
    plain, mixed = merge_parts([first, second]), merge_parts([first, turned])
    torch.testing.assert_close(mixed.condition_logits[:, :4], plain.condition_logits[:, :4])
    torch.testing.assert_close(mixed.condition_logits[:, 4:].flip(1), plain.condition_logits[:, 4:])


def test_an_object_that_other_parts_do_not_see_keeps_the_score_of_its_part():
    one = MaskProposals(blobs(3)[:, :1], torch.tensor([[[2.0, 0.0]]]), (2,), torch.tensor([[0.9]]))
    other = MaskProposals(blobs(3)[:, 2:], torch.tensor([[[3.0, 1.0]]]), (2,), torch.tensor([[0.8]]))
    merged = merge_parts([one, other])
    chances = merged.condition_logits.softmax(dim=-1)
    expected = torch.tensor(2.0).sigmoid()
    torch.testing.assert_close(chances[0, 0, 0], expected)
    torch.testing.assert_close(chances[0, 1, 1], expected)
    assert merged.quality is not None and merged.quality.tolist() == [[pytest.approx(0.9), pytest.approx(0.8)]]


def test_one_part_is_left_as_it_is_and_unequal_lists_are_refused():
    part = MaskProposals(blobs(2).expand(2, -1, -1, -1), torch.zeros(2, 2, 3), (3, 2))
    assert merge_parts([part]) is part
    with pytest.raises(ConditionError, match="one by one"):
        merge_parts([part, part])
