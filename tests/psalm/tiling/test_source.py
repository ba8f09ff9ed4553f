"""Windows of images of any kind, at the level that is needed, with one contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from psalm.conditions import CategoryCondition
from psalm.errors import ImageError
from psalm.images import to_rgb8
from psalm.tiling import ImageSource, TilePlan, predict_tiled
from tests.psalm.zarr_images import write_ome_zarr

from .conftest import FieldPredictor, ellipses


class Watched:
    """An array that notes what is read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.largest = self.total = 0

    def __getitem__(self, index: Any) -> np.ndarray:
        part = self._array[index]
        pixels = part.shape[0] * part.shape[1]
        self.largest, self.total = max(self.largest, pixels), self.total + pixels
        return part


@pytest.fixture
def ramp() -> np.ndarray:
    return np.add.outer(np.arange(300) * 90, np.arange(400) * 60).astype(np.uint16)


def test_a_window_has_the_contrast_of_the_whole(ramp):
    source = ImageSource.of(ramp)
    whole = to_rgb8(ramp)
    assert (source.read((40, 50, 90, 160)) == whole[40:90, 50:160]).all()


def test_a_shrunk_window_is_the_mean(ramp):
    shrunk = ImageSource.of(ramp).read((0, 0, 300, 400), shrink=4)
    assert shrunk.shape == (75, 100, 3)
    expected = to_rgb8(ramp).reshape(75, 4, 100, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - expected).max() <= 0.5


@pytest.mark.parametrize("kind", ["memmap", "dask", "zarr", "list"])
def test_arrays_of_every_kind_are_read_alike(kind, ramp, tmp_path: Path):
    if kind == "memmap":
        image: Any = np.memmap(tmp_path / "image", dtype=ramp.dtype, mode="w+", shape=ramp.shape)
        image[:] = ramp
    elif kind == "dask":
        image = pytest.importorskip("dask.array").from_array(ramp, chunks=64)
    elif kind == "zarr":
        image = pytest.importorskip("zarr").array(ramp, chunks=(64, 64))
    else:
        image = ramp.tolist()
    window = (13, 100, 200, 301)
    assert (ImageSource.of(image).read(window) == to_rgb8(ramp)[13:200, 100:301]).all()


def test_the_coarsest_level_that_is_fine_enough_is_read():
    fine, middle, coarse = (Watched(np.zeros((size, size), np.uint8)) for size in (1024, 512, 256))
    source = ImageSource.of([fine, middle, coarse])
    assert source.size == (1024, 1024)
    assert [source.level_for(shrink) for shrink in (1, 1.9, 2, 3.7, 4, 100)] == [0, 0, 1, 1, 2, 2]
    assert source.read((0, 0, 512, 1024), shrink=2).shape == (256, 512, 3)
    assert (fine.total, middle.total) == (0, 256 * 512)


def test_the_object_size_chooses_the_level():
    field = ellipses((1024, 1024), 40, 60)
    fine, coarse = Watched(field.image), Watched(field.image[::2, ::2])
    plan = TilePlan(object_size=160, overview=False)  # 256 pixels of the model hold four such objects
    objects = predict_tiled(FieldPredictor(field), [fine, coarse], CategoryCondition(["cell"]), plan).objects
    assert fine.total == 0
    assert len(objects) == field.count
    assert objects.size == (1024, 1024)


def test_little_of_a_large_image_is_in_memory_at_once():
    field = ellipses((1500, 1500), 20, 60)
    image = Watched(field.image)
    predict_tiled(FieldPredictor(field), image, CategoryCondition(["cell"]), TilePlan(overview=False))
    assert image.largest <= 256 * 256
    assert image.total < 2.2 * 1500 * 1500


@pytest.mark.parametrize("version", [2, 3])
def test_an_ome_zarr_folder_is_read_at_its_levels(version, ramp, tmp_path: Path):
    source = ImageSource.of(write_ome_zarr(tmp_path / "image.zarr", ramp[None, None], "czyx", version=version))
    assert (source.size, source.num_levels) == ((300, 400), 2)
    assert source.read((0, 0, 100, 80), shrink=2).shape == (50, 40, 3)


def test_of_a_stack_one_page_is_named(ramp, tmp_path: Path):
    path = write_ome_zarr(tmp_path / "stack.zarr", np.stack([ramp, ramp + 7]), "zyx", levels=1)
    with pytest.raises(ImageError, match="stack of 2 pages"):
        ImageSource.of(path)
    assert (ImageSource.of(path, 1).read((0, 0, 300, 400)) == to_rgb8(ramp + 7)).all()


def test_a_tiff_with_levels_is_read_at_its_levels(ramp, tmp_path: Path):
    pytest.importorskip("zarr")
    colours = np.stack([ramp] * 3, axis=-1)
    with tifffile.TiffWriter(tmp_path / "slide.tif") as file:
        file.write(colours, subifds=1, tile=(64, 64), photometric="rgb")
        file.write(colours[::2, ::2], subfiletype=1, tile=(64, 64), photometric="rgb")
    source = ImageSource.of(tmp_path / "slide.tif")
    assert (source.size, source.num_levels) == ((300, 400), 2)
    assert source.read((0, 0, 100, 80)).shape == (100, 80, 3)
    assert source.read((0, 0, 100, 80), shrink=2).shape == (50, 40, 3)


def test_what_is_no_image_is_refused(tmp_path: Path):
    with pytest.raises(ImageError, match="one plane"):
        ImageSource.of(np.zeros((5, 6, 7, 3)))
    with pytest.raises(ImageError, match="at least one array"):
        ImageSource([])
    pytest.importorskip("zarr")
    with pytest.raises(ImageError, match="no OME-Zarr"):
        ImageSource.of(tmp_path)
