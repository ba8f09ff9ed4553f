"""Masks that are upsampled in their own boxes are the masks that the whole image would give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from psalm.config import PSALMConfig
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.resizing import resize, resize_part
from psalm.image_transform import ImageTransform

SIDES = st.integers(1, 90)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data(), SIDES, SIDES, st.integers(1, 300), st.integers(1, 300))
def test_a_part_equals_that_part_of_the_whole(data, h, w, height, width):
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    map_ = torch.randn(h, w, generator=generator) * 9
    rows = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    columns = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    part = resize_part(map_, (height, width), (rows[0], columns[0], rows[1], columns[1]))
    whole = resize(map_[None], (height, width))[0, rows[0] : rows[1], columns[0] : columns[1]]
    # torch's own kernel rounds in one way on one processor and in another on the next.
    torch.testing.assert_close(part, whole, rtol=0, atol=2e-5 * float(map_.abs().max()))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 999), st.floats(0.3, 3))
def test_masks_and_scores_equal_those_of_the_whole_image(height, width, seed, density):
    frame = ImageTransform(PSALMConfig.small()).frame((height, width))
    noise = torch.randn(3, 48, 48, generator=torch.Generator().manual_seed(seed))
    logits = noise - density  # from many blobs to a few lonely pixels
    masks = QueryMasks(logits, frame)
    for query in range(3):
        whole = masks.logits(query)
        cutout, score = masks.look(query)
        assert torch.equal(masks.mask(query), whole > 0)
        assert (cutout is None) == (not (whole > 0).any())
        if cutout is not None:
            assert score == pytest.approx(float(whole[whole > 0].sigmoid().mean()), abs=1e-5)
            assert score <= float(masks.bounds(torch.ones(3))[query])
