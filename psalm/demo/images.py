"""The sample images that come with scikit-image's wheel; ``python -m psalm.demo.images coins`` prints a path."""

from __future__ import annotations

import sys
from pathlib import Path

from psalm.errors import ImageError


def sample_path(name: str) -> Path:
    """Path of a sample image, say ``"coins"``; nothing is downloaded.

    Raises
    ------
    ImageError
        When the installed scikit-image ships no such image.
    """
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    found = sorted(path for path in folder.glob(f"{name}.*") if path.suffix in (".png", ".jpg"))
    if not found:
        raise ImageError(f"scikit-image ships no image {name!r} in {folder}: choose another name.")
    return found[0]


if __name__ == "__main__":
    sys.stdout.write(f"{sample_path(sys.argv[1])}\n")
