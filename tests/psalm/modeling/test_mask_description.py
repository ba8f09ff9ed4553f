from __future__ import annotations

import torch

from psalm.modeling.mask_description import GEOMETRY, OUTLINE, WAVES, Standardise, describe_masks, waves


def describe(masks: torch.Tensor) -> torch.Tensor:
    levels = torch.zeros(1, 2, 8, 8)
    levels[:, 0, :, :4], levels[:, 1] = 1.0, 3.0
    states = torch.arange(masks.shape[1] * 5.0).reshape(1, -1, 5)
    return describe_masks((levels,), masks, states, torch.full(masks.shape[:2], 0.8))


def test_features_are_averaged_under_the_mask() -> None:
    masks = torch.zeros(1, 3, 16, 16, dtype=torch.bool)
    masks[0, 0, 4:8, 0:8], masks[0, 1, 4:8, 8:16], masks[0, 2, 4:8, 4:12] = True, True, True
    pooled = describe(masks)[0, :, 5:7]
    torch.testing.assert_close(pooled, torch.tensor([[1.0, 3.0], [0.0, 3.0], [0.5, 3.0]]), atol=1e-4, rtol=0)


def test_place_and_size_are_in_image_units() -> None:
    masks = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    masks[0, 0, 4:8, 2:10] = True
    numbers = describe(masks)[0, 0, -GEOMETRY:]
    expected = [6 / 16, 6 / 16, 4 / 16, 2 / 16, 8 / 16, 10 / 16, (32 / 256) ** 0.5, 4 / 16, 8 / 16, 0.8]
    torch.testing.assert_close(numbers, torch.tensor(expected))


def test_the_outline_tells_shapes_apart_and_forgets_their_size() -> None:
    masks = torch.zeros(1, 3, 32, 32, dtype=torch.bool)
    masks[0, 0, 4:12, 4:12], masks[0, 1, 4:28, 4:28] = True, True
    masks[0, 2] = torch.ones(32, 32).tril().bool()
    outline = describe(masks)[0, :, -GEOMETRY - OUTLINE**2 : -GEOMETRY]
    assert (outline[0] - outline[1]).abs().mean() < 0.1 < (outline[0] - outline[2]).abs().mean()


def test_an_empty_mask_is_described_by_zeros() -> None:
    masks = torch.zeros(1, 2, 16, 16, dtype=torch.bool)
    masks[0, 0, 0, 0] = True
    described = describe(masks)
    assert not described[0, 1].any() and described[0, 0].any() and torch.isfinite(described).all()


def test_waves_tell_near_numbers_apart() -> None:
    numbers = torch.tensor([[0.5, 0.0], [0.52, 0.0]])
    told = waves(numbers)
    assert told.shape == (2, 2 * (1 + 2 * WAVES)) and torch.equal(told[:, :2], numbers)
    assert (told[0] - told[1]).norm() > 5 * (numbers[0] - numbers[1]).norm()
    assert torch.allclose(told[0, 2], torch.sin(torch.tensor(torch.pi / 2)))


def test_standardised_descriptions_have_one_scale() -> None:
    torch.manual_seed(0)
    rows = torch.randn(500, 3) * torch.tensor([0.1, 1.0, 30.0]) + 5
    standardise = Standardise(3)
    assert not standardise.measured and torch.equal(standardise(rows), rows)
    standardise.measure(rows)
    assert standardise.measured and standardise(rows).mean(0).abs().max() < 1e-4
    assert standardise(rows).std(0)[1:].sub(1).abs().max() < 0.05
    again = Standardise(3)
    again.load_state_dict(standardise.state_dict())
    assert again.measured and torch.equal(again(rows), standardise(rows))


def test_what_was_measured_keeps_its_scale_when_further_numbers_join() -> None:
    standardise = Standardise(3)
    standardise.mean[0], standardise.deviation[0] = 5.0, 2.0
    assert not standardise.measured
    rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 4 + 1
    standardise.measure(rows)
    assert standardise.measured and standardise.mean[0] == 5.0 and standardise.deviation[0] == 2.0
    torch.testing.assert_close(standardise.mean[1:], rows.mean(0)[1:])
