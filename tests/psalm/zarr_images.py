"""OME-Zarr folders for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


def write_ome_zarr(
    path: Path, pixels: NDArray[Any], axes: str = "yx", levels: int = 2, version: int = 3, chunk: int = 64
) -> Path:
    """Write an array as an OME-Zarr image whose levels leave out every other pixel."""
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    datasets = []
    for level in range(levels):
        part = pixels[tuple(slice(None, None, 2**level) if axis in "yx" else slice(None) for axis in axes)]
        chunks = tuple(min(chunk, n) if axis in "yx" else 1 for axis, n in zip(axes, part.shape, strict=True))
        group.create_array(str(level), data=np.ascontiguousarray(part), chunks=chunks)
        datasets.append({"path": str(level)})
    record = {"multiscales": [{"axes": [{"name": axis} for axis in axes], "datasets": datasets}]}
    group.attrs.update(record if version == 2 else {"ome": record})
    return path
