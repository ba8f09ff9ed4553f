from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from psalm.annotations import Annotations, Category
from psalm.errors import AnnotationError, OutputError
from psalm.overlay import colour_of, draw_click, draw_overlay, save_picture


def squares(*corners: tuple[int, int, int]) -> Annotations:
    """Squares (row, column, side) on a 60 x 80 image."""
    masks = np.zeros((len(corners), 60, 80), dtype=bool)
    for mask, (row, column, side) in zip(masks, corners, strict=True):
        mask[row : row + side, column : column + side] = True
    count = len(corners)
    return Annotations(masks, np.ones(count), np.full(count, 0.9), (Category(1, "square"),))


def test_paints_inside_and_leaves_the_rest():
    image = np.full((60, 80), 100, dtype=np.uint8)
    picture = draw_overlay(image, squares((10, 20, 20)), opacity=0.5, labels=False)
    assert picture.shape == (60, 80, 3)
    assert (picture[:10] == 100).all() and (picture[30:] == 100).all()
    assert tuple(picture[10, 20]) == colour_of(0)  # the outline
    expected = (np.array(colour_of(0)) * 0.5 + 50).astype(np.uint8)
    assert (picture[20, 30] == expected).all()


def test_small_objects_lie_over_large_ones():
    picture = draw_overlay(np.zeros((60, 80)), squares((20, 20, 6), (5, 5, 50)), opacity=1, labels=False)
    assert tuple(picture[22, 22]) == colour_of(0)
    assert tuple(picture[40, 40]) == colour_of(1)


def test_an_object_on_the_border_has_no_outline_there():
    picture = draw_overlay(np.zeros((60, 80)), squares((0, 0, 30)), opacity=0.5, labels=False)
    assert tuple(picture[0, 10]) != colour_of(0)
    assert tuple(picture[29, 10]) == colour_of(0)


def test_labels_are_written_only_where_there_is_room():
    image = np.zeros((600, 800))
    plain = draw_overlay(np.zeros((60, 80)), squares((20, 20, 4)), labels=False)
    assert (draw_overlay(np.zeros((60, 80)), squares((20, 20, 4))) == plain).all()
    mask = np.zeros((1, 600, 800), dtype=bool)
    mask[0, 200:500, 200:500] = True
    large = Annotations(mask, np.ones(1), np.ones(1), (Category(1, "square"),))
    assert (draw_overlay(image, large) != draw_overlay(image, large, labels=False)).any()


def test_small_images_are_enlarged_by_whole_factors():
    assert draw_overlay(np.zeros((60, 80)), squares((10, 20, 20)), min_size=200).shape == (180, 240, 3)


def test_no_objects_and_untouched_input():
    image = np.full((60, 80, 3), 7, dtype=np.uint8)
    empty = Annotations(np.zeros((0, 60, 80)), np.zeros(0), np.zeros(0), ())
    assert (draw_overlay(image, empty) == image).all()
    draw_overlay(image, squares((10, 20, 20)))
    assert (image == 7).all()


def test_masks_of_another_size_are_refused():
    with pytest.raises(AnnotationError, match=r"\(60, 80\).*\(50, 80\)"):
        draw_overlay(np.zeros((50, 80)), squares((10, 20, 20)))


def test_a_click_is_marked_where_it_is():
    picture = np.zeros((180, 240, 3), dtype=np.uint8)
    marked = draw_click(picture, (20, 50), scale=3)
    rows, columns = np.nonzero(marked.any(axis=2))
    assert abs(rows.mean() - 61) < 1 and abs(columns.mean() - 151) < 1
    assert not picture.any()


def test_save_picture(tmp_path):
    picture = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    path = save_picture(tmp_path / "new" / "a.png", picture)
    assert (np.asarray(Image.open(path)) == picture).all()
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]
    with pytest.raises(OutputError, match="cannot be written"):
        save_picture(path / "b.png", picture)
