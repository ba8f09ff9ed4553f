"""The identity of a file's content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from psalm.errors import ImageError


def content_hash(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    ImageError
        When the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}): check the path and its permissions.") from error
