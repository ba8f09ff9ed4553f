"""The identity of a file's content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from psalm.errors import ImageError

_RECORDS = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})


def content_hash(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Of an OME-Zarr folder, which may hold a million files, that of its records (``zarr.json``, ``.zattrs`` and so on)
    and of the names and sizes of all its files: the same in every copy, and another when pixels change that are
    compressed, but for chance.

    Raises
    ------
    ImageError
        When the file cannot be read.
    """
    try:
        if Path(path).is_dir():
            return _folder_hash(Path(path))
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}): check the path and its permissions.") from error


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = file.relative_to(folder).as_posix()
        digest.update(f"{name}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        if file.name in _RECORDS:
            digest.update(file.read_bytes())
    return digest.hexdigest()
