from __future__ import annotations

from pathlib import Path

import pytest

from psalm.images import images_below


def test_zarr_folders_are_images_and_are_not_entered(tmp_path: Path):
    for name in ("a.png", "sub/b.tif", "sub/c.txt", ".hidden/d.png", "out/e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("sub/slide.ome.zarr/0/thumbnail.png", "plain.zarr/f.png", ".g.ome.zarr/h.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in images_below(tmp_path, [(tmp_path / "out").resolve()])]
    assert sorted(found) == ["a.png", "sub/b.tif", "sub/slide.ome.zarr"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path):
    def refuse(error: OSError) -> None:
        raise error

    with pytest.raises(OSError, match="missing"):
        list(images_below(tmp_path / "missing", refuse=refuse))
