from __future__ import annotations

from pathlib import Path

import numpy as np

from psalm.images.planes import count_pages, only_windowed, planes_of

VOLUME = np.arange(5 * 8 * 10).reshape(5, 8, 10)


def test_a_page_is_read_where_it_is_sliced():
    fine, coarse = planes_of(Path("a"), [VOLUME, VOLUME[:2, ::2, ::2]], "zyx", 4)
    assert (fine.shape, coarse.shape) == ((8, 10), (4, 5))
    assert np.array_equal(fine[2:4, 3:9], VOLUME[4, 2:4, 3:9])
    # The coarser level has fewer planes: its last one stands for the last one.
    assert np.array_equal(coarse[:, :], VOLUME[1, ::2, ::2])
    assert only_windowed([fine, coarse]) == [fine, coarse]


def test_colours_come_last_wherever_they_lie():
    colours = np.arange(3 * 8 * 10).reshape(3, 8, 10)
    for axes, array in (("cyx", colours), ("syx", colours), ("yxs", np.moveaxis(colours, 0, -1))):
        (plane,) = planes_of(Path("a"), [array], axes, 0)
        assert np.array_equal(plane[1:3, 2:5], np.moveaxis(colours, 0, -1)[1:3, 2:5])


def test_what_makes_pages():
    assert count_pages("yx", (8, 10)) == 1
    assert count_pages("tcyx", (2, 3, 8, 10)) == 2
    assert count_pages("tcyx", (2, 4, 8, 10)) == 8
    assert count_pages("cyxs", (3, 8, 10, 4)) == 3
