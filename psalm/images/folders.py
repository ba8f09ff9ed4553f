"""The images below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from psalm.images.files import SUFFIXES
from psalm.images.zarr_folder import SUFFIX, is_zarr_image


def images_below(
    folder: Path, left_out: Collection[Path] = (), refuse: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """Image files, and OME-Zarr folders as one image each; what is hidden is left out.

    Parameters
    ----------
    folder : Path
    left_out : collection of Path
        Folders, resolved, that are not entered.
    refuse : callable, optional
        Told of a folder that cannot be read.
    """
    for name, folders, files in os.walk(folder, onerror=refuse):
        here = Path(name)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (here / each for each in folders if is_zarr_image(here / each))
        folders[:] = [
            each for each in folders if not each.lower().endswith(SUFFIX) and (here / each).resolve() not in left_out
        ]
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in SUFFIXES:
                yield here / file
