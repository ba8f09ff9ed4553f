"""A class list in parts: scores that do not depend on how many names were asked."""

from __future__ import annotations

import pytest
import torch

from psalm.decoding.class_lists import among_all, likeliest_names, merge_parts
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


def best_names(merged: MaskProposals) -> tuple[list[list[int]], torch.Tensor]:
    """Per proposal that some name wins, its row of the mask and that name; and the probabilities, likewise sorted."""
    chances = merged.condition_logits.softmax(dim=-1)[0, :, :-1]
    value, name = chances.max(dim=-1)
    rows = (merged.mask_logits[0] > 0).any(dim=-1).int().argmax(dim=-1)
    order = sorted(range(len(rows)), key=lambda i: (int(rows[i]), -float(value[i])))
    first = [i for place, i in enumerate(order) if not place or rows[order[place - 1]] != rows[i]]
    return [[int(rows[i]), int(name[i])] for i in first], value[first]


def test_the_same_masks_are_returned_once_with_the_likeliest_names():
    torch.manual_seed(0)
    masks, logits = blobs(4), torch.randn(1, 4, 7) * 3
    merged = merge_parts(parts_of(masks, logits, (1, 3, 2)))
    assert merged.mask_logits.shape == masks.shape and merged.num_conditions == (7,)
    names, chances = best_names(merged)
    assert names == [[i, int(logits[0, i, :-1].argmax())] for i in range(4)]
    # A single list has more rivals, so it never says more.
    assert (chances >= logits.softmax(dim=-1)[0, :, :-1].amax(dim=-1) - 1e-6).all()


def test_the_likeliest_name_of_the_other_parts_competes():
    logits = torch.tensor([[[3.0, -2.0, 1.0, 0.0]]])
    chances = merge_parts(parts_of(blobs(1), logits, (1, 1, 1))).condition_logits.softmax(dim=-1)[0, 0]
    expected = logits[0, 0, 0].exp() / (1 + logits[0, 0, 0].exp() + logits[0, 0, 2].exp())
    torch.testing.assert_close(chances[0], expected)
    assert chances[1:3].tolist() == [0, 0]


def test_hundreds_of_unlikely_names_do_not_drown_the_right_one():
    logits = torch.full((1, 2, 602), -2.0)
    logits[0, 0, 0], logits[..., -1] = 3.0, 0.0
    alone = merge_parts(parts_of(blobs(2), logits[..., [0, -1]], (1,))).condition_logits.softmax(dim=-1)
    chances = merge_parts(parts_of(blobs(2), logits, (24,) * 25 + (1,))).condition_logits.softmax(dim=-1)
    assert float(alone[0, 0, 0]) == pytest.approx(0.953, abs=1e-3)
    assert float(chances[0, 0, 0]) > 0.8 and float(chances[0, 1, :-1].max()) < 0.5
    assert float(logits.softmax(dim=-1)[0, 0, 0]) < 0.25


def test_the_order_of_the_queries_does_not_matter():
    torch.manual_seed(1)
    masks, logits = blobs(4), torch.randn(1, 4, 5) * 3
    first, second = parts_of(masks, logits, (2, 2))
    turned = MaskProposals(second.mask_logits.flip(1), second.condition_logits.flip(1), second.num_conditions)
    plain, mixed = merge_parts([first, second]), merge_parts([first, turned])
    assert mixed.mask_logits.shape[1] == 8
    names, chances = best_names(plain)
    assert best_names(mixed)[0] == names
    torch.testing.assert_close(best_names(mixed)[1], chances)


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


def test_names_that_no_proposal_shows_are_not_read_again():
    logits = torch.tensor([[[-3.0, 4.0, 2.0, 0.0], [-3.0, 0.0, 2.0, 0.0]], [[-3.0, -2.0, -4.0, 0.0]] * 2])
    merged = MaskProposals(blobs(2).expand(2, -1, -1, -1), logits, (4, 4))
    assert likeliest_names(merged) == [[1, 2], [1]]
    # A name that is always second, and one that is the likeliest of a mask that is none, do not count.
    assert likeliest_names(MaskProposals(blobs(2)[:, :1], logits[:1, :1], (4,))) == [[1]]
    bad = MaskProposals(blobs(2), logits[:1], (4,), torch.tensor([[0.9, 0.1]]))
    assert likeliest_names(bad) == [[1]]


def test_what_a_short_list_says_is_spread_over_the_whole_list():
    logits = torch.tensor([[[3.0, 1.0, 0.5]], [[2.0, 0.0, 9.0]]])  # the second image was asked one name
    short = MaskProposals(blobs(1).expand(2, -1, -1, -1), logits, (3, 2), torch.ones(2, 1))
    spread = among_all(short, [[1, 4], [0]], 5)
    assert spread.num_conditions == (6, 6) and spread.quality is short.quality
    chances = spread.condition_logits.softmax(dim=-1)
    torch.testing.assert_close(chances[0, 0, [1, 4, 5]], logits[0, 0].softmax(dim=-1))
    torch.testing.assert_close(chances[1, 0, [0, 5]], logits[1, 0, :2].softmax(dim=-1))
    assert chances[0, 0, [0, 2, 3]].sum() == 0 and chances[1, 0, 1:5].sum() == 0
