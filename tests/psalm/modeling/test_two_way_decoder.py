from __future__ import annotations

import pytest
import torch

from psalm.modeling.two_way_decoder import NUM_MASKS, Attention, TwoWayDecoder


@pytest.fixture
def decoder() -> TwoWayDecoder:
    torch.manual_seed(0)
    return TwoWayDecoder(dim=32, num_heads=4, ffn=64).eval()


def test_shapes(decoder: TwoWayDecoder) -> None:
    masks, quality, states = decoder(torch.randn(1, 32, 6, 5), torch.randn(1, 32, 6, 5), torch.randn(3, 4, 32))
    assert masks.shape == (3, NUM_MASKS, 24, 20)
    assert quality.shape == (3, NUM_MASKS)
    assert states.shape == (3, NUM_MASKS, 32)


def test_prompts_do_not_see_each_other(decoder: TwoWayDecoder) -> None:
    image, pe, prompts = torch.randn(1, 32, 6, 6), torch.randn(1, 32, 6, 6), torch.randn(3, 4, 32)
    together = decoder(image, pe, prompts)
    for i in range(3):
        for both, alone in zip(together, decoder(image, pe, prompts[i : i + 1]), strict=True):
            torch.testing.assert_close(both[i], alone[0], atol=1e-5, rtol=1e-4)


def test_a_shared_image_equals_one_image_per_prompt(decoder: TwoWayDecoder) -> None:
    image, pe, prompts = torch.randn(1, 32, 6, 6), torch.randn(1, 32, 6, 6), torch.randn(2, 4, 32)
    shared = decoder(image, pe, prompts)
    for a, b in zip(shared, decoder(image.expand(2, -1, -1, -1), pe, prompts), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("asking", "asked"),
    [((2, 5), (2, 5)), ((2, 3), (2, 40)), ((2, 40), (2, 3)), ((1, 40), (3, 2)), ((3, 2), (1, 40)), ((2, 30), (2, 40))],
)
def test_attention_is_what_its_formula_says(asking: tuple[int, int], asked: tuple[int, int]) -> None:
    """With few against many, one against many, and position encodings as if added before the projection."""
    torch.manual_seed(1)
    attention = Attention(16, 8, 2)
    query, query_pe = torch.randn(2, *asking, 16).requires_grad_()
    key, key_pe = torch.randn(2, *asked, 16).requires_grad_()
    q, k, v = attention.q_proj(query + query_pe), attention.k_proj(key + key_pe), attention.v_proj(key)
    q, k, v = (x.unflatten(2, (2, -1)).transpose(1, 2) for x in (q, k, v))
    expected = attention.out_proj(((q @ k.mT / 2).softmax(-1) @ v).transpose(1, 2).flatten(2))
    found = attention(query, key, query_pe, key_pe)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    leaves, weights = (query, key), torch.randn_like(expected)
    for a, b in zip(_gradients(found, weights, leaves), _gradients(expected, weights, leaves), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def _gradients(
    found: torch.Tensor, weights: torch.Tensor, leaves: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad((found * weights).sum(), leaves, retain_graph=True)
