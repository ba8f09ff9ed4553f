from __future__ import annotations

import pytest
import torch

from psalm.modeling.deformable_attention import DeformableAttention

SIZES = [(2, 3), (4, 6)]


@pytest.fixture
def attention() -> DeformableAttention:
    torch.manual_seed(0)
    attention = DeformableAttention(dim=8, heads=2, levels=2, points=3)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return attention


def _bilinear(image: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """Value of image (rows, columns, d) at pixel coordinates, zero outside."""
    value = image.new_zeros(image.shape[2])
    left, top = int(x // 1), int(y // 1)
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                value = value + image[row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return value


def test_equals_the_formula_written_as_loops(attention):
    query, value = torch.randn(1, 4, 8), torch.randn(1, 30, 8)
    reference = torch.rand(4, 2)
    projected = attention.value_proj(value)[0].view(30, 2, 4)
    maps = [projected[:6].view(2, 3, 2, 4), projected[6:].view(4, 6, 2, 4)]
    offsets = attention.sampling_offsets(query).view(4, 2, 2, 3, 2)
    weights = attention.attention_weights(query).view(4, 2, 6).softmax(2).view(4, 2, 2, 3)
    expected = torch.zeros(4, 2, 4)
    for n in range(4):
        for head in range(2):
            for level, (rows, columns) in enumerate(SIZES):
                for point in range(3):
                    x = reference[n, 0] * columns + offsets[n, head, level, point, 0] - 0.5
                    y = reference[n, 1] * rows + offsets[n, head, level, point, 1] - 0.5
                    sample = _bilinear(maps[level][:, :, head], x.item(), y.item())
                    expected[n, head] += weights[n, head, level, point] * sample
    expected = attention.output_proj(expected.flatten(1))[None]
    torch.testing.assert_close(attention(query, reference, value, SIZES), expected, rtol=1e-4, atol=1e-5)


def test_batch_equals_singles(attention):
    query, value, reference = torch.randn(3, 5, 8), torch.randn(3, 30, 8), torch.rand(5, 2)
    alone = [attention(query[i : i + 1], reference, value[i : i + 1], SIZES) for i in range(3)]
    torch.testing.assert_close(attention(query, reference, value, SIZES), torch.cat(alone), rtol=0, atol=1e-5)


def test_half_precision_keeps_its_type_and_is_close(attention):
    query, value, reference = torch.randn(1, 5, 8), torch.randn(1, 30, 8), torch.rand(5, 2)
    exact = attention(query, reference, value, SIZES)
    half = attention.bfloat16()(query.bfloat16(), reference, value.bfloat16(), SIZES)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.1, atol=0.2)


def test_starts_with_points_on_a_growing_square_and_equal_weights():
    attention = DeformableAttention(dim=8, heads=4, levels=1, points=2)
    offsets = attention.sampling_offsets.bias.view(4, 2, 2).round().tolist()
    assert offsets == [[[1, 0], [2, 0]], [[0, 1], [0, 2]], [[-1, 0], [-2, 0]], [[0, -1], [0, -2]]]
    assert not attention.attention_weights.weight.any()
