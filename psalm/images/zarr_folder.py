"""OME-Zarr folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from psalm.errors import ImageError
from psalm.images.files import check_page, check_pixels
from psalm.images.planes import Plane, count_pages, only_windowed, planes_of

SUFFIX = ".zarr"
_RECORDS = (".zattrs", "zarr.json")


def is_zarr_image(path: Path) -> bool:
    """Whether a folder is one image: called ``.ome.zarr``, or ``.zarr`` with levels in its record."""
    name = path.name.lower()
    if not name.endswith(SUFFIX) or not path.is_dir():
        return False
    return name.endswith(f".ome{SUFFIX}") or any(_has_levels(path / record) for record in _RECORDS)


def _has_levels(record: Path) -> bool:
    try:
        return b'"multiscales"' in record.read_bytes()
    except OSError:
        return False


class ZarrFolder:
    """The first image of an OME-Zarr folder (versions 0.4 and 0.5); every plane but the colours' is a page.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ImageError
        When it is none, or the package zarr is missing.
    """

    def __init__(self, path: Path) -> None:
        try:
            import zarr
        except ImportError as error:
            raise ImageError(f"{path} needs the package zarr: pip install 'napari-psalm[zarr]'.") from error
        self._path = path
        try:
            node: Any = zarr.open(str(path), mode="r")
            if hasattr(node, "dtype"):
                self._arrays, self._axes = [node], "yxs" if node.ndim == 3 else "tczyx"[-node.ndim :]
            else:
                attributes = dict(node.attrs)
                image = attributes.get("ome", attributes)["multiscales"][0]
                names = [axis["name"] if isinstance(axis, dict) else axis for axis in image["axes"]]
                self._axes = "".join(names).lower()
                self._arrays = [node[level["path"]] for level in image["datasets"]]
            self.pages = count_pages(self._axes, self._arrays[0].shape)
        except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
            raise ImageError(
                f"{path} is no OME-Zarr image ({error}): give the folder that holds its levels."
            ) from error

    def read(self, page: int) -> NDArray[Any]:
        """One image as (H, W) or (H, W, C)."""
        finest = self._planes(page)[0]
        check_pixels(self._path, *finest.shape[:2])
        return finest[:, :]

    def levels(self, page: int) -> Sequence[Plane]:
        """One image at all its levels, finest first, to be sliced; empty when it can only be read as a whole."""
        return only_windowed(self._planes(page))

    def close(self) -> None:
        """Nothing is kept open."""

    def _planes(self, page: int) -> list[Plane]:
        check_page(self._path, page, self.pages)
        return planes_of(self._path, self._arrays, self._axes, page)
