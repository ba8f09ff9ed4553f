"""Files of slide scanners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from psalm.errors import ImageError
from psalm.images import images_below, open_image


def _slide(path: Path, side: int = 96, compression: str | None = None) -> np.ndarray:
    """A slide as a scanner writes it: the image, a thumbnail between its levels, and a label."""
    image = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    about = "Aperio Image Library v12.0.0 \r\n96x96 |AppMag = 20"
    with tifffile.TiffWriter(path) as file:
        tiled = dict(tile=(32, 32), photometric="rgb", metadata=None, compression=compression)
        file.write(image, description=about, **tiled)
        file.write(image[::4, ::4], description="Aperio thumbnail", metadata=None, photometric="rgb")
        file.write(image[::4, ::4], description="Aperio Image Library level", **tiled)
        file.write(image[:20, :20], description="Aperio label ", metadata=None, subfiletype=1, photometric="rgb")
    return image


def test_a_slide_is_one_image_whatever_else_its_file_holds(tmp_path: Path) -> None:
    image = _slide(tmp_path / "a.svs")
    assert list(images_below(tmp_path)) == [tmp_path / "a.svs"]
    with open_image(tmp_path / "a.svs") as file:
        assert file.pages == 1 and [level.shape[:2] for level in file.levels(0)] == [(96, 96), (24, 24)]
        assert (np.asarray(file.levels(0)[0][10:50, 40:90]) == image[10:50, 40:90]).all()
        assert (file.read(0) == image).all()


def test_a_large_slide_whose_compression_is_unknown_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _slide(tmp_path / "a.svs", compression="zlib")
    monkeypatch.setattr("psalm.images.files.MAX_PIXELS", 1000)
    with open_image(tmp_path / "a.svs") as file:
        with pytest.raises(ImageError, match="OME-Zarr or tiled TIFF"):
            file.read(0)
        monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", {})
        assert file.levels(0) == ()
        with pytest.raises(ImageError, match=r"napari-psalm\[slides\]"):
            file.read(0)
