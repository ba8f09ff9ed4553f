"""Pooling of condition spans."""

from __future__ import annotations

import torch

from psalm.modeling.condition_pooling import pool_conditions

STATES = torch.arange(20.0).reshape(2, 5, 2)
SPANS = [[(0, 2), (2, 5)], [(1, 4)]]


def test_average_is_the_mean_of_each_span() -> None:
    pooled = pool_conditions(STATES, SPANS, "average")
    torch.testing.assert_close(pooled[0], torch.stack([STATES[0, :2].mean(0), STATES[0, 2:].mean(0)]))
    torch.testing.assert_close(pooled[1], torch.stack([STATES[1, 1:4].mean(0), torch.zeros(2)]))


def test_ref_is_the_last_state_of_each_span() -> None:
    pooled = pool_conditions(STATES, SPANS, "ref")
    torch.testing.assert_close(pooled[0], STATES[0, [1, 4]])
    torch.testing.assert_close(pooled[1, 0], STATES[1, 3])


def test_padding_pools_to_nothing_and_states_that_mean_nothing_do_not_count() -> None:
    for pooling in ("average", "ref"):
        alone = pool_conditions(STATES[1:], SPANS[1:], pooling)
        assert torch.equal(pool_conditions(STATES, SPANS, pooling)[1, :1], alone[0])
        assert not pool_conditions(STATES, SPANS, pooling)[1, 1].any()
