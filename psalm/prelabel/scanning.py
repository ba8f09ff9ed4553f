"""The images of a folder."""

from __future__ import annotations

from pathlib import Path

from psalm.errors import ImageError
from psalm.images import SUFFIXES, images_below

# What a dataset folder holds beside its store; pictures in them are results, not images.
RESULT_FOLDERS = ("overlays",)


def find_images(folder: Path | str, skip: Path | str | None = None) -> list[Path]:
    """Image files and OME-Zarr folders below a folder, sorted; what is hidden or below `skip` is left out.

    Parameters
    ----------
    folder : path
    skip : path, optional
        The dataset folder, when it may lie below the images; of one that holds the images, its results.

    Raises
    ------
    ImageError
        When the folder does not exist, cannot be read or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}: check the path.")
    left_out = () if skip is None else _results(Path(skip).resolve(), folder.resolve())
    found = sorted(images_below(folder, left_out, _refuse))
    if not found:
        raise ImageError(
            f"{folder} holds no image: give a folder with {', '.join(sorted(SUFFIXES))} files or .ome.zarr folders."
        )
    return found


def _results(dataset: Path, folder: Path) -> tuple[Path, ...]:
    if folder.is_relative_to(dataset):
        return tuple(dataset / name for name in RESULT_FOLDERS)
    # A folder inside the images that holds a dataset, or will.
    return (dataset,)


def _refuse(error: OSError) -> None:
    raise ImageError(f"{error.filename} cannot be read ({error.strerror}): check its permissions.") from error
