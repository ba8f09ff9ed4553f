"""File names from annotation files, which may not lead out of the images' folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from psalm.errors import AnnotationError
from psalm.images import is_zarr_image

_LONGEST_PART, _LONGEST_NAME = 255, 4096


def relative_name(name: str) -> str | None:
    """A file name as a path below a folder with forward slashes; None when it leads elsewhere or cannot be one."""
    slashed = name.replace("\\", "/")
    path = PurePosixPath(slashed)
    readings = PureWindowsPath(name), PureWindowsPath(str(path))
    try:
        lengths = [len(part.encode("utf-8")) for part in path.parts]
    except UnicodeEncodeError:
        return None
    leaves = path.is_absolute() or ".." in path.parts or any(reading.anchor for reading in readings)
    too_long = max(lengths, default=0) > _LONGEST_PART or sum(lengths) > _LONGEST_NAME
    return None if leaves or too_long or not path.parts or "\0" in name else str(path)


def find_below(folder: Path | str, name: str) -> Path | None:
    """The file `name` below a folder; None when there is none.

    Raises
    ------
    AnnotationError
        When the name leads out of the folder, be it through a symbolic link.
    """
    relative = relative_name(name)
    if relative is None:
        raise AnnotationError(f"The file name {name[:200]!r} leads out of its folder: give a path relative to it.")
    path = Path(folder) / relative
    try:
        inside = path.resolve().is_relative_to(Path(folder).resolve())
    except (OSError, RuntimeError) as error:  # links in a circle
        raise AnnotationError(f"The file {name!r} cannot be reached ({error}): mend the link.") from error
    if not inside:
        raise AnnotationError(f"The file {name!r} is a link that leads out of {folder}: put the file itself there.")
    return path if path.is_file() or is_zarr_image(path) else None
