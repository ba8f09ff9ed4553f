"""Eight bits are close to full precision, take less memory, and are what is really multiplied."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from psalm.quantisation import Int8Linear, quantise_linears


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_a_quantised_layer_is_close_to_the_original(dtype, bias):
    torch.manual_seed(0)
    linear, x = nn.Linear(64, 48, bias=bias).to(dtype), torch.randn(2, 5, 64).to(dtype)
    expected = linear(x).float()
    found = Int8Linear(linear)(x)
    assert found.dtype == dtype and found.shape == (2, 5, 48)
    error = (found.float() - expected).abs().max()
    assert 0 < error < 0.03 * expected.abs().max()


def test_whole_numbers_come_through_exactly():
    linear = nn.Linear(4, 2, bias=False)
    linear.weight.data = torch.tensor([[127.0, 1, -3, 0], [2, -127, 0, 5]])
    x = torch.tensor([[127.0, -8, 0, 4]])
    torch.testing.assert_close(Int8Linear(linear)(x), x @ linear.weight.T)


def test_zeros_stay_zeros():
    linear = nn.Linear(4, 2, bias=False)
    assert not Int8Linear(linear)(torch.zeros(3, 4)).any()


def test_every_linear_layer_inside_is_replaced():
    module = nn.Sequential(nn.Linear(16, 16), nn.Sequential(nn.ReLU(), nn.Linear(16, 4)), nn.LayerNorm(4))
    before = sum(tensor.nbytes for tensor in module.state_dict().values())
    quantise_linears(module)
    assert not any(isinstance(part, nn.Linear) for part in module.modules())
    assert isinstance(module[2], nn.LayerNorm)
    assert sum(tensor.nbytes for tensor in module.state_dict().values()) < before / 2
