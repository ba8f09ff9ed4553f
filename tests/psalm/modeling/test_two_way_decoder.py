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


def test_position_encodings_count_as_if_added_before_the_projection() -> None:
    torch.manual_seed(1)
    attention = Attention(16, 8, 2)
    query, key, query_pe, key_pe = torch.randn(4, 2, 5, 16)
    q, k, v = attention.q_proj(query + query_pe), attention.k_proj(key + key_pe), attention.v_proj(key)
    heads = (x.unflatten(2, (2, -1)).transpose(1, 2) for x in (q, k, v))
    expected = attention.out_proj(torch.nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(query, key, query_pe, key_pe), expected, atol=1e-6, rtol=1e-5)
