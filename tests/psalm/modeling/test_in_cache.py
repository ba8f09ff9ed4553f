from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from psalm.modeling import in_cache
from psalm.modeling.in_cache import attend, by_rows


@pytest.fixture
def little_room(monkeypatch) -> None:
    for name in ("_ROOM", "_EXACT_ROOM"):
        monkeypatch.setattr(in_cache, name, 100)


def test_rows_in_parts_are_those_at_once(little_room):
    rows, others = torch.randn(2, 70, 5), torch.randn(1, 70, 5)
    seen = []

    def step(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        seen.append(rows.shape[1])
        return rows * others

    with torch.no_grad():
        torch.testing.assert_close(by_rows(step, 5, rows, others), rows * others)
    assert seen == [10] * 7


def test_where_gradients_are_wanted_all_rows_go_at_once(little_room):
    seen = []
    by_rows(lambda rows: seen.append(rows.shape) or rows, 5, torch.randn(2, 70, 5))
    assert seen == [(2, 70, 5)]


@pytest.mark.parametrize("scale", [1.0, 40.0])
@pytest.mark.parametrize("room", [10, 300, 10**6])
@pytest.mark.parametrize("kind", ["none", "causal", "bool", "added", "added per image"])
def test_attention_in_half_precision_is_that_of_single_precision(monkeypatch, room, kind, scale):
    """With scores that are small, and with such as leave the range of their powers."""
    monkeypatch.setattr(in_cache, "_ROOM", room)
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, 4, 6, 8).bfloat16() for _ in range(3))
    query *= scale
    masks = {
        "bool": torch.rand(3, 1, 6, 6) > 0.5 * torch.ones(6, 6).tril(-1),
        "added": torch.randn(1, 4, 6, 6).bfloat16(),
        "added per image": torch.randn(3, 4, 6, 6).bfloat16(),
    }
    mask, causal = masks.get(kind), kind == "causal"
    if kind == "bool":
        mask = mask | torch.eye(6, dtype=torch.bool)
    single = mask if mask is None or kind == "bool" else mask.float()
    expected = scaled_dot_product_attention(query.float(), key.float(), value.float(), single, is_causal=causal)
    with torch.no_grad():
        found = attend(query, key, value, mask, causal).float()
    assert (found - expected).abs().mean() < 0.02
