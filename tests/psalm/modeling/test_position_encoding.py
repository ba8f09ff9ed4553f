from __future__ import annotations

import math

import torch

from psalm.modeling.position_encoding import sine_position_encoding


def test_first_half_encodes_the_row_and_second_the_column():
    encoding = sine_position_encoding((3, 5), 8).view(3, 5, 8)
    assert (encoding[:, :1, :4] == encoding[:, :, :4]).all()
    assert (encoding[:1, :, 4:] == encoding[:, :, 4:]).all()
    assert not torch.equal(encoding[0, :, 4:], encoding[1, :, :4])


def test_values_are_sine_and_cosine_of_the_fraction_of_a_turn():
    encoding = sine_position_encoding((4, 2), 8).view(4, 2, 8)
    angle = 2 * math.pi * 3 / 4
    expected = [math.sin(angle), math.cos(angle), math.sin(angle / 100), math.cos(angle / 100)]
    torch.testing.assert_close(encoding[2, 0, :4], torch.tensor(expected), rtol=0, atol=1e-5)


def test_every_place_has_its_own_code():
    encoding = sine_position_encoding((7, 9), 16)
    distances = torch.cdist(encoding, encoding) + torch.eye(63) * 10
    assert distances.min() > 1e-2
