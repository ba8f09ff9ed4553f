from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from psalm.errors import ImageError
from psalm.images import is_zarr_image, open_image, read_image
from tests.psalm.zarr_images import write_ome_zarr

STACK = np.arange(2 * 3 * 4 * 32 * 48, dtype=np.uint16).reshape(2, 3, 4, 32, 48)


@pytest.mark.parametrize("version", [2, 3])
def test_pages_and_levels(tmp_path: Path, version: int):
    """Three channels are one RGB page, other axes are counted through, the last one fastest: as in TIFF files."""
    path = write_ome_zarr(tmp_path / "a.ome.zarr", STACK, "tczyx", version=version)
    with open_image(path) as file:
        assert file.pages == 8
        fine, coarse = file.levels(5)
        assert (fine.shape, coarse.shape) == ((32, 48, 3), (16, 24, 3))
        assert np.array_equal(fine[4:9, 30:48], np.moveaxis(STACK[1, :, 1], 0, -1)[4:9, 30:48])
        assert np.array_equal(file.read(5), np.moveaxis(STACK[1, :, 1], 0, -1))
    two = write_ome_zarr(tmp_path / "b.zarr", STACK[:, :2, 0], "tcyx")
    assert np.array_equal(read_image(two, 3), STACK[1, 1, 0])


def test_huge_chunks_make_no_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_ome_zarr(tmp_path / "a.zarr", STACK[0, 0, 0])
    monkeypatch.setattr("psalm.images.planes._MOST_CHUNK_PIXELS", 100)
    with open_image(path) as file:
        assert not file.levels(0)
        assert np.array_equal(file.read(0), STACK[0, 0, 0])


def test_damage_is_told(tmp_path: Path):
    path = write_ome_zarr(tmp_path / "a.zarr", STACK[0, 0, 0])
    for chunk in (path / "0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"nothing")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(path)
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(ImageError, match="no OME-Zarr image"):
        read_image(tmp_path / "empty.zarr")


def test_which_folders_are_images(tmp_path: Path):
    (tmp_path / "named.ome.zarr").mkdir()
    (tmp_path / "plain.zarr").mkdir()
    assert is_zarr_image(tmp_path / "named.ome.zarr")
    assert not is_zarr_image(tmp_path / "plain.zarr")
    assert is_zarr_image(write_ome_zarr(tmp_path / "levels.zarr", STACK[0, 0, 0]))
    assert is_zarr_image(write_ome_zarr(tmp_path / "older.zarr", STACK[0, 0, 0], version=2))
